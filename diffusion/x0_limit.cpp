#include "diffusion/x0_limit.h"

#include "base/error.h"
#include "diffusion/quantile.h"
#include "graph/builder.h"

namespace ito {

Result<X0Limit> threshold_limit(const SchedulerConfig& config) {
  if (config.thresholding) {
    const double ratio = config.dynamic_thresholding_ratio;
    if (!(ratio >= 0 && ratio <= 1))
      return invalid_argument("scheduler config: dynamic_thresholding_ratio is {}, expected 0 to 1",
                              ratio);
    if (!(config.sample_max_value > 0))
      return invalid_argument("scheduler config: sample_max_value is {}, expected above 0",
                              config.sample_max_value);
  }
  return X0Limit{.threshold = config.thresholding,
                 .threshold_ratio = config.dynamic_thresholding_ratio,
                 .threshold_max = config.sample_max_value};
}

Result<X0Limit> x0_limit(const SchedulerConfig& config) {
  if (config.clip_sample && !(config.clip_sample_range > 0))
    return invalid_argument("scheduler config: clip_sample_range is {}, expected above 0",
                            config.clip_sample_range);
  ITO_ASSIGN(X0Limit limit, threshold_limit(config));
  limit.clip = config.clip_sample;
  limit.range = config.clip_sample_range;
  return limit;
}

Tensor limit_x0(Tensor x0, const X0Limit& limit) {
  if (limit.threshold) return dynamic_threshold(x0, limit.threshold_ratio, limit.threshold_max);
  if (limit.clip) return clamp(x0, -limit.range, limit.range);
  return x0;
}

}  // namespace ito
