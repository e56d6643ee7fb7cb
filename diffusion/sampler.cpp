#include "diffusion/sampler.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/quantile.h"
#include "graph/builder.h"

namespace ito {

bool Sampler::needs_noise() const {
  return std::find(noise_used.begin(), noise_used.end(), true) != noise_used.end();
}

Sampler Sampler::from(int first) const {
  CHECK(first >= 0 && first < steps(), "Sampler::from: no such step");
  Sampler rest = *this;
  rest.timesteps.erase(rest.timesteps.begin(), rest.timesteps.begin() + first);
  rest.noise_used.erase(rest.noise_used.begin(), rest.noise_used.begin() + first);
  const auto skipped = static_cast<std::ptrdiff_t>(static_cast<size_t>(first) * columns.size());
  rest.coefficients.erase(rest.coefficients.begin(), rest.coefficients.begin() + skipped);
  return rest;
}

Result<X0Limit> x0_limit(const SchedulerConfig& config) {
  if (config.clip_sample && !(config.clip_sample_range > 0))
    return invalid_argument("scheduler config: clip_sample_range is {}, expected above 0",
                            config.clip_sample_range);
  if (config.thresholding) {
    const double ratio = config.dynamic_thresholding_ratio;
    if (!(ratio >= 0 && ratio <= 1))
      return invalid_argument("scheduler config: dynamic_thresholding_ratio is {}, expected 0 to 1",
                              ratio);
    if (!(config.sample_max_value >= 1))
      return invalid_argument("scheduler config: sample_max_value is {}, expected at least 1",
                              config.sample_max_value);
  }
  return X0Limit{.clip = config.clip_sample,
                 .range = config.clip_sample_range,
                 .threshold = config.thresholding,
                 .threshold_ratio = config.dynamic_thresholding_ratio,
                 .threshold_max = config.sample_max_value};
}

Tensor limit_x0(Tensor x0, const X0Limit& limit) {
  if (limit.threshold) return dynamic_threshold(x0, limit.threshold_ratio, limit.threshold_max);
  if (limit.clip) return clamp(x0, -limit.range, limit.range);
  return x0;
}

int first_step_for_strength(int steps, double strength) {
  CHECK(strength >= 0 && strength <= 1, "strength outside [0, 1]");
  return steps - std::min(static_cast<int>(steps * strength), steps);
}

}  // namespace ito
