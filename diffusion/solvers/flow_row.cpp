#include "diffusion/solvers/flow_row.h"

#include <cmath>

#include "base/error.h"

namespace ito {
namespace {

double stored(const SolverOptions& options, double value) {
  return options.arithmetic == Arithmetic::kDouble ? value : static_cast<float>(value);
}

}  // namespace

Status check_flow(const SchedulerConfig& config) {
  ITO_TRY(prediction_among(config.prediction_type, {Prediction::kFlow}, "scheduler config"));
  if (config.num_train_timesteps < 1)
    return invalid_argument("scheduler config: num_train_timesteps is {}, expected at least 1",
                            config.num_train_timesteps);
  if (!(config.shift > 0) || !std::isfinite(config.shift))
    return invalid_argument("scheduler config: shift is {}, expected above 0", config.shift);
  return {};
}

Result<std::vector<double>> flow_grid(const SchedulerConfig& config, const SolverOptions& options) {
  if (options.steps < 1)
    return invalid_argument("number of sampling steps is {}, expected at least 1", options.steps);
  const double least =
      stored(options, shifted_level(config.shift, 1.0 / config.num_train_timesteps));
  return even_spacing(1, least, options.steps);
}

void round_levels(std::vector<double>& levels, const SolverOptions& options) {
  for (double& level : levels) level = stored(options, level);
}

SolverRow flow_row(const SchedulerConfig& config, const SolverOptions& options, double sigma) {
  SolverRow row{
      .t = stored(options, sigma * config.num_train_timesteps), .mean = 1 - sigma, .std = sigma};
  row.x0 = {1, -sigma, 1};
  row.epsilon = {1, 1 - sigma, 1};
  return row;
}

}  // namespace ito
