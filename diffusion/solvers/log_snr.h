// What the solvers in half the log signal-to-noise ratio, λ = log(α/σ), share (DPM-Solver, UniPC,
// DEIS): the moments that a run visits, how outputs there become x_0 or ε, and the history of such
// outputs. Internal to this folder. Not the steps, one file each, nor the spacing
// (diffusion/sigma_spacing.h).
#pragma once

#include <vector>

#include "diffusion/parameterization.h"
#include "diffusion/sigma_spacing.h"
#include "diffusion/solver_options.h"

namespace ito {

// x = alpha x_0 + sigma ε.
struct Moment {
  double alpha = 1;
  double sigma = 0;
  double lambda = 0;  // log(alpha/sigma); infinite where there is no noise
};

struct LogSnrRun {
  Prediction prediction = Prediction::kEpsilon;
  std::vector<double> timesteps;  // what the network is told; entry i at moments[i]
  std::vector<Moment> moments;    // one more: where the last step ends
  bool straight = false;          // α = 1 - σ, flow matching's path

  int steps() const { return static_cast<int>(timesteps.size()); }
  const Moment& at(int i) const { return moments[static_cast<size_t>(i)]; }
  bool ends_at_zero() const { return moments.back().sigma == 0; }
  // The row of `solver` that evaluates at entry i; its states keep what they hold.
  SolverRow row(int i, const Solver& solver) const;
};

// Errors: what the schedule, the spacing, options.first_step and the prediction type refuse;
// flow_prediction where the path is not flow matching's; solver_order outside 1 to 3.
Result<LogSnrRun> log_snr_run(const SchedulerConfig& config, const SolverOptions& options,
                              const SigmaRules& rules);

// The solver without its rows: the configuration's thresholding, and a network whose output has
// variance channels (config.solver_variance_type) that are not used.
Result<Solver> log_snr_solver(const std::string& name, const SchedulerConfig& config);

// The order of a linear multistep method at entry i, whose history is empty at entry `first`: lower
// while there is too little history, and, in runs of fewer than 15 steps with
// config.lower_order_final, towards the end: 1 in the last step and at most 2 in the one before.
int multistep_order(const SchedulerConfig& config, int i, int first, int steps);

// `count` states more, "m1", "m2", ...: converted outputs of earlier rows, the newest first.
void add_history(Solver& solver, int count);

// The newest converted output enters the states first, first + 1, ..., first + count - 1, which
// hold earlier ones, the newest first.
void push_history(SolverRow& row, const Affine& newest, size_t first, size_t count);

}  // namespace ito
