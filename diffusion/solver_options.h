// What a run may choose of a solver beside its scheduler configuration, and the type of the
// functions that make solvers (diffusion/solvers/, one file each; diffusion/samplers.h finds them
// by name).
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/schedule.h"
#include "diffusion/solver.h"

namespace ito {

struct SolverOptions {
  int steps = 50;  // spaced as the configuration says; 1 to num_train_timesteps
  // If not empty: exactly these timesteps, descending, in place of `steps` spaced ones. For
  // solvers on whole training timesteps (DDPM, DDIM, LCM).
  std::vector<int> timesteps = {};
  // The first step that is run, of methods with several evaluations per step at the first of them:
  // image to image begins at a partly noised picture. Multistep methods begin there at first order.
  int first_step = 0;
  // DDIM: 0 deterministic, 1 the variance of DDPM (Song et al. 2021, eq. 16).
  double eta = 0;
  // DDIM: derive ε anew from the limited x_0 instead of using the network's.
  bool use_clipped_model_output = false;
  // Noise added before an evaluation at σ within [s_tmin, s_tmax] (Karras et al. 2022, algorithm
  // 2): γ = min(s_churn/steps, √2 - 1).
  double s_churn = 0;
  double s_tmin = 0;
  double s_tmax = std::numeric_limits<double>::infinity();
  double s_noise = 1;
  int order = 4;  // LMS: of the linear multistep formula
  // Flow matching with dynamic shifting: μ, which pipelines compute from the size of the picture.
  std::optional<double> mu = {};
  Arithmetic arithmetic = Arithmetic::kFloat32AsDiffusers;  // of schedules and coefficients
};

// Errors name the value of the configuration or the option that is unknown or out of range.
using SolverMaker = Result<Solver>(const SchedulerConfig& config, const SolverOptions& options);

// First step of an image-to-image run that re-noises `strength` (0 to 1) of the way: the last
// ⌊steps · strength⌋ steps are run. Equals `steps` (nothing to run) for a strength near 0.
int first_step_for_strength(int steps, double strength);

}  // namespace ito
