// Layout conversions between foreign arrays (PyTorch's NCHW, OIHW, [out,in]) and Ito's
// channels-last ones. Done once, at the edges, on plain float vectors with their shape. Each
// returns the permuted values; the shapes given are those of the source.
#pragma once

#include <vector>

#include "base/shape.h"

namespace ito {

// General axis permutation: output axis i is source axis order[i] (as numpy.transpose).
std::vector<float> transpose(const std::vector<float>& values, const Shape& shape,
                             const std::vector<int>& order);
Shape transposed_shape(const Shape& shape, const std::vector<int>& order);

// Images [N,C,H,W] ↔ [N,H,W,C].
std::vector<float> nchw_to_nhwc(const std::vector<float>& values, const Shape& nchw);
std::vector<float> nhwc_to_nchw(const std::vector<float>& values, const Shape& nhwc);

}  // namespace ito
