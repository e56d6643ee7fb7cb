#include "diffusion/discrete_step.h"

#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/timesteps.h"
#include "graph/builder.h"

namespace ito {

NoiseLevel noise_level(const NoiseSchedule& schedule, double alpha_bar) {
  if (schedule.arithmetic == Arithmetic::kDouble)
    return {.a = std::sqrt(alpha_bar), .s = std::sqrt(1 - alpha_bar)};
  const float rounded = static_cast<float>(alpha_bar);
  return {.a = std::sqrt(rounded), .s = std::sqrt(1.0f - rounded)};
}

Status check_convertible(Prediction prediction, const NoiseLevel& level, int timestep) {
  if (prediction == Prediction::kEpsilon && level.a == 0)
    return invalid_argument(
        "timestep {} holds no signal (zero terminal SNR), where prediction_type epsilon says "
        "nothing of x_0; expected v_prediction or sample",
        timestep);
  if (prediction == Prediction::kSample && level.s == 0)
    return invalid_argument(
        "the step at timestep {} starts without noise, where prediction_type sample says nothing "
        "of the noise; expected epsilon or v_prediction, or set_alpha_to_one false",
        timestep);
  return {};
}

Result<std::vector<int>> choose_timesteps(const SchedulerConfig& config,
                                          const TimestepChoice& choice) {
  const int total = config.num_train_timesteps;
  if (!choice.timesteps.empty()) {
    ITO_TRY(check_timesteps(choice.timesteps, total));
    return choice.timesteps;
  }
  ITO_ASSIGN(const Spacing spacing, spacing_from_name(config.timestep_spacing));
  return spaced_timesteps(spacing, total, choice.steps, config.steps_offset);
}

void append_row(Sampler& sampler, std::initializer_list<double> values) {
  for (double value : values) sampler.coefficients.push_back(static_cast<float>(value));
}

std::pair<Tensor, Tensor> split_output(Tensor output, bool learned) {
  if (!learned) return {output, Tensor()};
  const int64_t channels = output.dim(-1);
  CHECK(channels % 2 == 0, "a learned variance needs an even number of output channels");
  const int axis = output.rank() - 1;
  return {slice_axis(output, axis, 0, channels / 2),
          slice_axis(output, axis, channels / 2, channels)};
}

}  // namespace ito
