// Quantiles of magnitudes in the graph, without sorting; what dynamic thresholding needs
// (Saharia et al. 2022, section 2.3).
#pragma once

#include "graph/graph.h"

namespace ito {

// Quantile q in [0, 1] of each image's values, torch.quantile's linear interpolation between order
// statistics. magnitudes: f32 [n, ...], all finite and >= 0, at most 2^24 values per image.
// Returns f32 [n, 1, ...] of the same rank. The order statistics are exact: the bits of the k-th
// smallest value are found from the highest down, by counting the values below candidates.
Tensor quantile_of_magnitudes(Tensor magnitudes, double q);

// Clips x_0 of each image to ±s and divides by s, where s is the `ratio` quantile of its |x_0|,
// itself clipped to [1, max_value].
Tensor dynamic_threshold(Tensor x0, double ratio, double max_value);

}  // namespace ito
