// How estimates of x_0 are kept in range while a solver runs, as scheduler configurations say.
#pragma once

#include "base/config.h"
#include "base/result.h"
#include "graph/graph.h"

namespace ito {

// Thresholding wins over clipping.
struct X0Limit {
  bool clip = false;
  double range = 1;  // clip to [-range, range]
  // Dynamic thresholding (Saharia et al. 2022, section 2.3): clip to the ratio-quantile s of each
  // image's |x_0|, s between 1 and `threshold_max`, and divide by s. A threshold_max below 1 is s.
  bool threshold = false;
  double threshold_ratio = 0.995;
  double threshold_max = 1;

  bool operator==(const X0Limit&) const = default;
};

// What a configuration says. Errors: clip_sample_range not positive, dynamic_thresholding_ratio
// outside [0, 1], sample_max_value not positive.
Result<X0Limit> x0_limit(const SchedulerConfig& config);
// The same for schedulers that know thresholding only.
Result<X0Limit> threshold_limit(const SchedulerConfig& config);

Tensor limit_x0(Tensor x0, const X0Limit& limit);

}  // namespace ito
