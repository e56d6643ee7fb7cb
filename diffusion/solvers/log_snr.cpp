#include "diffusion/solvers/log_snr.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/posterior.h"
#include "diffusion/solvers/discrete_step.h"

namespace ito {
namespace {

// α and σ of one level of the run, in float32 where they are so in diffusers: what little a pair of
// rounded numbers lacks of α² + σ² = 1 is magnified by 1/α in every estimate of x_0.
template <typename Real>
Moment moment(double level, bool straight) {
  const Real sigma = static_cast<Real>(level);
  const Real alpha = straight ? 1 - sigma : 1 / std::sqrt(sigma * sigma + 1);
  const double a = alpha, s = straight ? sigma : sigma * alpha;
  return {.alpha = a, .sigma = s, .lambda = std::log(a) - std::log(s)};
}

}  // namespace

SolverRow LogSnrRun::row(int i, const Solver& solver) const {
  const Moment& now = at(i);
  SolverRow row{.t = timesteps[static_cast<size_t>(i)], .mean = now.alpha, .std = now.sigma};
  row.x0 = x0_form(prediction, now.alpha, now.sigma);
  row.epsilon =
      epsilon_form(solver.epsilon_from_x0 ? Prediction::kSample : prediction, now.alpha, now.sigma);
  for (size_t k = 0; k < solver.states.size(); ++k) row.states.push_back(affine::state(k));
  return row;
}

Result<LogSnrRun> log_snr_run(const SchedulerConfig& config, const SolverOptions& options,
                              const SigmaRules& rules) {
  if (config.solver_order < 1 || config.solver_order > 3)
    return invalid_argument("scheduler config: solver_order is {}, expected 1 to 3",
                            config.solver_order);
  LogSnrRun run;
  ITO_ASSIGN(run.prediction, prediction_from_name(config.prediction_type));
  ITO_ASSIGN(const NoiseSchedule schedule, make_sigma_schedule(config, options.arithmetic));
  ITO_ASSIGN(SigmaSteps steps, sigma_steps(config, schedule, options, rules));
  ITO_TRY(check_first_step(options, steps.timesteps.size()));
  if (is_of_straight_path(run.prediction) && !steps.flow)
    return invalid_argument(
        "scheduler config: prediction_type is \"flow_prediction\", whose noise levels are those of "
        "the straight path; expected use_flow_sigmas true beside it");
  run.timesteps = std::move(steps.timesteps);
  run.straight = steps.flow;
  for (double sigma : steps.sigmas)
    run.moments.push_back(options.arithmetic == Arithmetic::kDouble
                              ? moment<double>(sigma, steps.flow)
                              : moment<float>(sigma, steps.flow));
  return run;
}

Result<Solver> log_snr_solver(const std::string& name, const SchedulerConfig& config) {
  Solver solver;
  solver.name = name;
  ITO_ASSIGN(solver.limit, threshold_limit(config));
  if (config.solver_variance_type) {
    ITO_ASSIGN(const VarianceType type, variance_type_from_name(*config.solver_variance_type));
    if (is_learned(type)) solver.variance = LearnedVariance::kIgnored;
  }
  return solver;
}

int multistep_order(const SchedulerConfig& config, int i, int first, int steps) {
  constexpr int kFewSteps = 15;
  int order = std::min(config.solver_order, i - first + 1);
  if (config.lower_order_final && steps < kFewSteps) order = std::min(order, steps - i);
  return order;
}

void add_history(Solver& solver, int count) {
  for (int k = 1; k <= count; ++k) solver.states.push_back(fmt::format("m{}", k));
}

void push_history(SolverRow& row, const Affine& newest, size_t first, size_t count) {
  if (count == 0) return;
  row.states[first] = newest;
  for (size_t k = 1; k < count; ++k) row.states[first + k] = affine::state(first + k - 1);
}

}  // namespace ito
