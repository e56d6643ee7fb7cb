#include "diffusion/solvers/discrete_step.h"

#include <cmath>

#include "base/error.h"
#include "diffusion/posterior.h"
#include "diffusion/timesteps.h"

namespace ito {

NoiseLevel noise_level(const NoiseSchedule& schedule, double alpha_bar) {
  if (schedule.arithmetic == Arithmetic::kDouble)
    return {.a = std::sqrt(alpha_bar), .s = std::sqrt(1 - alpha_bar)};
  const float rounded = static_cast<float>(alpha_bar);
  return {.a = std::sqrt(rounded), .s = std::sqrt(1.0f - rounded)};
}

Status check_convertible(Prediction prediction, const NoiseLevel& level, int timestep) {
  if (needs_signal(prediction) && level.a == 0)
    return invalid_argument(
        "timestep {} holds no signal (zero terminal SNR), where prediction_type epsilon says "
        "nothing of x_0; expected v_prediction or sample",
        timestep);
  if (needs_noise(prediction) && level.s == 0)
    return invalid_argument(
        "the step at timestep {} starts without noise, where prediction_type sample says nothing "
        "of the noise; expected epsilon or v_prediction, or set_alpha_to_one false",
        timestep);
  return {};
}

Result<std::vector<int>> choose_timesteps(const SchedulerConfig& config,
                                          const SolverOptions& options) {
  const int total = config.num_train_timesteps;
  if (!options.timesteps.empty()) {
    ITO_TRY(check_timesteps(options.timesteps, total));
    return options.timesteps;
  }
  ITO_ASSIGN(const Spacing spacing, spacing_from_name(config.timestep_spacing));
  return spaced_timesteps(spacing, total, options.steps, config.steps_offset);
}

Status check_first_step(const SolverOptions& options, size_t count) {
  if (options.first_step >= 0 && static_cast<size_t>(options.first_step) < count) return {};
  return invalid_argument("first step {} is outside 0 to {}", options.first_step, count - 1);
}

Result<LearnedVariance> ignored_variance(const SchedulerConfig& config) {
  ITO_ASSIGN(const VarianceType variance, variance_type_from_name(config.variance_type));
  return is_learned(variance) ? LearnedVariance::kIgnored : LearnedVariance::kNone;
}

}  // namespace ito
