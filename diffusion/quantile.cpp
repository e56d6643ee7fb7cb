#include "diffusion/quantile.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Values of x are [n, 1, m] here: m per image.

// How many values of each row satisfy the condition; exact, being below 2^24.
Tensor count_in_rows(Tensor condition) {
  Graph& graph = condition.graph();
  const Tensor ones =
      select(condition, full(graph, condition.shape(), 1), full(graph, condition.shape(), 0));
  return sum(ones, {2}, /*keepdim=*/true);
}

// Least value of each image where `excluded` is false.
Tensor least(Tensor x, Tensor excluded) {
  const double lowest = std::numeric_limits<float>::lowest();
  return -max(select(excluded, full(x.graph(), x.shape(), lowest), -x), {2}, /*keepdim=*/true);
}

// The float32 whose bit pattern is `bits`: exponent 0 reads as zero, and patterns of infinities,
// NaNs and negative numbers as some value of at least 2^127.
Tensor float_from_bits(Tensor bits) {
  Graph& graph = bits.graph();
  std::vector<double> powers;
  powers.push_back(0);
  for (int exponent = 1; exponent < 255; ++exponent)
    powers.push_back(std::ldexp(1.0, exponent - 127));
  powers.push_back(powers.back());
  const Tensor table = constant(graph, {256}, std::move(powers));
  const Tensor exponent =
      minimum(shift_right(bits, scalar(graph, 23, DType::kU32)), scalar(graph, 255, DType::kU32));
  const Tensor mantissa = bit_and(bits, scalar(graph, 0x7fffff, DType::kU32));
  const Tensor power = reshape(gather(table, reshape(exponent, {-1})), bits.shape());
  return (cast(mantissa, DType::kF32) * 0x1p-23 + 1.0) * power;
}

// The k-th smallest value (from 0) of each image, [n, 1, 1].
Tensor order_statistic(Tensor x, int64_t k) {
  Graph& graph = x.graph();
  const Tensor rank = scalar(graph, static_cast<double>(k));
  // The greatest float v with at most k values below it is the k-th smallest value. Its bits are
  // found four at a time: of the 15 ways to raise the digit, the first so many are still at most v.
  constexpr int kDigitBits = 4;
  constexpr int64_t kRaises = (1 << kDigitBits) - 1;
  const Tensor raise = iota(graph, {1, kRaises, 1}, 1) + scalar(graph, 1, DType::kU32);
  Tensor bits = full(graph, {x.dim(0), 1, 1}, 0, DType::kU32);
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    const Tensor place = scalar(graph, shift, DType::kU32);
    const Tensor raised = bit_or(bits, shift_left(raise, place));
    const Tensor too_far = less(rank, count_in_rows(less(x, float_from_bits(raised))));
    const Tensor digit =
        sum(select(too_far, full(graph, too_far.shape(), 0), full(graph, too_far.shape(), 1)), {1},
            true);
    bits = bit_or(bits, shift_left(cast(digit, DType::kU32), place));
  }
  // Take the value itself: in the oracle it may be finer than float32.
  return least(x, less(x, float_from_bits(bits)));
}

}  // namespace

Tensor quantile_of_magnitudes(Tensor magnitudes, double q) {
  CHECK(magnitudes.rank() >= 2, "quantile: one image axis and at least one more");
  const int64_t n = magnitudes.dim(0);
  const int64_t m = magnitudes.shape().numel() / n;
  CHECK(m <= (int64_t{1} << 24), "quantile: at most 2^24 values per image");
  CHECK(q >= 0 && q <= 1, "quantile: q outside [0, 1]");
  // Denormals count_in_rows as zero, whether or not the device keeps them.
  Graph& graph = magnitudes.graph();
  Tensor x = reshape(magnitudes, {n, 1, m});
  const Tensor denormal = less(x, scalar(graph, std::numeric_limits<float>::min()));
  x = select(denormal, full(graph, x.shape(), 0), x);
  // torch computes the rank in the tensor's own precision.
  const float rank = static_cast<float>(q) * static_cast<float>(m - 1);
  const int64_t k = static_cast<int64_t>(rank);
  const double weight = rank - static_cast<float>(k);
  Tensor result = order_statistic(x, k);
  if (weight != 0) {
    // The next order statistic is the same value if it occurs again, else the least one above it.
    const Tensor low = result;
    const Tensor above = less(low, x);
    const double above_if_single = static_cast<double>(m - k - 1);
    const Tensor repeated = less(count_in_rows(above), scalar(graph, above_if_single));
    const Tensor high = select(repeated, low, least(x, logical_not(above)));
    result = weight < 0.5 ? low + (high - low) * weight : high - (high - low) * (1 - weight);
  }
  std::vector<int64_t> per_image(static_cast<size_t>(magnitudes.rank()), 1);
  per_image[0] = n;
  return reshape(result, Shape(per_image));
}

Tensor dynamic_threshold(Tensor x0, double ratio, double max_value) {
  CHECK(max_value > 0, "dynamic threshold: max_value not positive");
  if (max_value < 1) return clamp(x0, -max_value, max_value) / max_value;
  const Tensor s = clamp(quantile_of_magnitudes(abs(x0), ratio), 1, max_value);
  return minimum(maximum(x0, -s), s) / s;
}

}  // namespace ito
