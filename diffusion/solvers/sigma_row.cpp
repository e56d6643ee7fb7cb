#include "diffusion/solvers/sigma_row.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <tuple>

#include "base/error.h"
#include "diffusion/solvers/discrete_step.h"
#include "diffusion/timesteps.h"

namespace ito {

Result<SigmaRun> sigma_run(const char* name, const SchedulerConfig& config,
                           const SolverOptions& options, const SigmaRules& rules,
                           std::initializer_list<Prediction> predictions) {
  SigmaRun run;
  ITO_ASSIGN(run.prediction,
             prediction_among(config.prediction_type, predictions, "sampler " + std::string(name)));
  ITO_ASSIGN(const NoiseSchedule schedule, make_sigma_schedule(config, options.arithmetic));
  run.table = sigma_table(schedule);
  ITO_ASSIGN(run.levels, sigma_steps(config, schedule, options, rules));
  run.solver.name = name;
  ITO_ASSIGN(run.solver.variance, ignored_variance(config));
  const double largest = *std::max_element(run.levels.sigmas.begin(), run.levels.sigmas.end());
  run.solver.init_noise_sigma = first_deviation(config.timestep_spacing, largest);
  return run;
}

Result<size_t> first_step(size_t steps, const SolverOptions& options) {
  ITO_TRY(check_first_step(options, steps));
  return static_cast<size_t>(options.first_step);
}

SolverRow sigma_row(Prediction prediction, double t, double sigma, double sigma_hat) {
  const SignalAndNoise vp = variance_preserving(sigma);
  SolverRow row{.t = t, .input_scale = vp.alpha, .mean = 1, .std = sigma};
  std::tie(row.x0, row.epsilon) = sigma_forms(prediction, vp.alpha, vp.sigma, sigma_hat);
  return row;
}

Churn churn_at(const SolverOptions& options, double sigma, size_t intervals) {
  double gamma = 0;
  if (options.s_tmin <= sigma && sigma <= options.s_tmax)
    gamma = std::min(options.s_churn / static_cast<double>(intervals), std::numbers::sqrt2 - 1);
  const double sigma_hat = sigma * (1 + gamma);
  return {.sigma_hat = sigma_hat,
          .noise = options.s_noise * std::sqrt(sigma_hat * sigma_hat - sigma * sigma)};
}

Status check_churn(const SolverOptions& options) {
  if (!(options.s_churn >= 0) || !std::isfinite(options.s_churn))
    return invalid_argument("s_churn is {}, expected at least 0", options.s_churn);
  if (!(options.s_noise >= 0) || !std::isfinite(options.s_noise))
    return invalid_argument("s_noise is {}, expected at least 0", options.s_noise);
  return {};
}

AncestralStep ancestral_step(double sigma, double next) {
  return {.up = next * std::sqrt((sigma - next) * (sigma + next)) / sigma,
          .down = next * next / sigma};
}

}  // namespace ito
