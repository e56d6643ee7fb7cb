#include "diffusion/solvers/edm_row.h"

#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/edm.h"
#include "diffusion/sigma_spacing.h"

namespace ito {

Result<std::vector<double>> edm_levels(const SchedulerConfig& config,
                                       const SolverOptions& options) {
  const double least = config.sigma_min, largest = config.sigma_max;
  if (!(least > 0) || !(largest > least) || !std::isfinite(largest))
    return invalid_argument(
        "scheduler config: sigma_min is {} and sigma_max {}, expected 0 < sigma_min < sigma_max",
        least, largest);
  if (!(config.sigma_data > 0) || !(config.rho > 0))
    return invalid_argument("scheduler config: sigma_data is {} and rho {}, expected both above 0",
                            config.sigma_data, config.rho);
  if (options.steps < 1)
    return invalid_argument("number of sampling steps is {}, expected at least 1", options.steps);
  std::vector<double> levels;
  if (config.sigma_schedule == "karras")
    levels = karras_sigmas(least, largest, options.steps, config.rho);
  else if (config.sigma_schedule == "exponential")
    levels = exponential_sigmas(least, largest, options.steps);
  else
    return invalid_argument(
        "scheduler config: sigma_schedule is \"{}\", expected karras or exponential",
        config.sigma_schedule);
  if (config.final_sigmas_type == "zero")
    levels.push_back(0);
  else if (config.final_sigmas_type == "sigma_min")
    levels.push_back(levels.back());
  else
    return invalid_argument(
        "scheduler config: final_sigmas_type is \"{}\", expected zero or sigma_min",
        config.final_sigmas_type);
  if (options.arithmetic == Arithmetic::kFloat32AsDiffusers)
    for (double& level : levels) level = static_cast<float>(level);
  return levels;
}

SolverRow edm_row(const SchedulerConfig& config, double sigma, double sigma_hat) {
  const EdmPreconditioning edm{.sigma_data = config.sigma_data};
  CHECK(config.prediction_type == "epsilon" || config.prediction_type == "v_prediction",
        "edm_row: an unknown prediction");
  const double sign = config.prediction_type == "v_prediction" ? -1 : 1;
  SolverRow row{.t = edm.c_noise(sigma), .input_scale = edm.c_in(sigma), .mean = 1, .std = sigma};
  const double c_skip = edm.c_skip(sigma_hat), c_out = sign * edm.c_out(sigma_hat);
  row.x0 = {c_skip, c_out, 1};
  row.epsilon = {1 - c_skip, -c_out, 1 / sigma_hat};
  return row;
}

Result<Solver> edm_solver(const char* name, const SchedulerConfig& config) {
  if (config.prediction_type != "epsilon" && config.prediction_type != "v_prediction")
    return invalid_argument(
        "scheduler config: prediction_type is \"{}\", expected epsilon (the network is EDM's F) or "
        "v_prediction (it is -F)",
        config.prediction_type);
  Solver solver;
  solver.name = name;
  solver.init_noise_sigma = std::sqrt(config.sigma_max * config.sigma_max + 1);
  return solver;
}

}  // namespace ito
