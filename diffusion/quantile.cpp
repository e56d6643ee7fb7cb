#include "diffusion/quantile.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {
namespace {

std::vector<int64_t> image_axes(Tensor x) {
  std::vector<int64_t> axes;
  for (int axis = 1; axis < x.rank(); ++axis) axes.push_back(axis);
  return axes;
}

// How many values of each image satisfy the condition; exact, being below 2^24.
Tensor count(Tensor condition) {
  Graph& graph = condition.graph();
  const Tensor ones =
      select(condition, full(graph, condition.shape(), 1), full(graph, condition.shape(), 0));
  return sum(ones, image_axes(condition), /*keepdim=*/true);
}

// Least value of each image where `excluded` is false.
Tensor least(Tensor x, Tensor excluded) {
  const double lowest = std::numeric_limits<float>::lowest();
  return -max(select(excluded, full(x.graph(), x.shape(), lowest), -x), image_axes(x),
              /*keepdim=*/true);
}

// The float32 whose bit pattern is `bits` (sign 0; exponent 0 reads as zero).
Tensor float_from_bits(Tensor bits) {
  Graph& graph = bits.graph();
  std::vector<double> powers;
  powers.push_back(0);
  for (int exponent = 1; exponent < 255; ++exponent)
    powers.push_back(std::ldexp(1.0, exponent - 127));
  powers.push_back(powers.back());  // the infinities' exponent; finite values never reach it
  const Tensor table = constant(graph, {256}, std::move(powers));
  const Tensor exponent = shift_right(bits, scalar(graph, 23, DType::kU32));
  const Tensor mantissa = bit_and(bits, scalar(graph, 0x7fffff, DType::kU32));
  const Tensor power = reshape(gather(table, reshape(exponent, {-1})), bits.shape());
  return (cast(mantissa, DType::kF32) * 0x1p-23 + 1.0) * power;
}

// The k-th smallest value (from 0) of each image.
Tensor order_statistic(Tensor x, int64_t k) {
  Graph& graph = x.graph();
  std::vector<int64_t> per_image(static_cast<size_t>(x.rank()), 1);
  per_image[0] = x.dim(0);
  const Tensor rank = scalar(graph, static_cast<double>(k));
  // The greatest float v with at most k values below it is the k-th smallest value.
  Tensor bits = full(graph, Shape(per_image), 0, DType::kU32);
  for (int bit = 30; bit >= 0; --bit) {
    const Tensor raised = bit_or(bits, scalar(graph, std::ldexp(1.0, bit), DType::kU32));
    const Tensor below = count(less(x, float_from_bits(raised)));
    bits = select(less(rank, below), bits, raised);
  }
  // Take the value itself: in the oracle it may be finer than float32.
  return least(x, less(x, float_from_bits(bits)));
}

}  // namespace

Tensor quantile_of_magnitudes(Tensor magnitudes, double q) {
  CHECK(magnitudes.rank() >= 2, "quantile: one image axis and at least one more");
  const int64_t n = magnitudes.shape().numel() / magnitudes.dim(0);
  CHECK(n <= (int64_t{1} << 24), "quantile: at most 2^24 values per image");
  CHECK(q >= 0 && q <= 1, "quantile: q outside [0, 1]");
  // Denormals count as zero, whether or not the device keeps them.
  Graph& graph = magnitudes.graph();
  const Tensor denormal = less(magnitudes, scalar(graph, std::numeric_limits<float>::min()));
  magnitudes = select(denormal, full(graph, magnitudes.shape(), 0), magnitudes);
  // torch computes the rank in the tensor's own precision.
  const float rank = static_cast<float>(q) * static_cast<float>(n - 1);
  const int64_t k = static_cast<int64_t>(rank);
  const double weight = rank - static_cast<float>(k);
  const Tensor low = order_statistic(magnitudes, k);
  if (weight == 0) return low;
  // The next order statistic is the same value if it occurs again, else the least one above it.
  const Tensor above = less(low, magnitudes);
  const double at_most = static_cast<double>(n - k - 1);  // values above, if `low` is not repeated
  const Tensor repeated = less(count(above), scalar(graph, at_most));
  const Tensor high = select(repeated, low, least(magnitudes, logical_not(above)));
  return weight < 0.5 ? low + (high - low) * weight : high - (high - low) * (1 - weight);
}

Tensor dynamic_threshold(Tensor x0, double ratio, double max_value) {
  CHECK(max_value >= 1, "dynamic threshold: max_value below 1");
  const Tensor s = clamp(quantile_of_magnitudes(abs(x0), ratio), 1, max_value);
  return minimum(maximum(x0, -s), s) / s;
}

}  // namespace ito
