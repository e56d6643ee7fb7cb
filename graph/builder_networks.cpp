// Networks' parts of builder.h: normalisation, attention, resampling, time features.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/builder.h"

namespace ito {
namespace {

void check_image(Tensor x, const char* name) {
  CHECK(x.rank() == 4, fmt::format("{} needs [n,h,w,c], found {}", name, x.shape().to_string()));
}

// Every position k along `axis` gives the neighbours 2k and 2k+1: even[k], odd[k].
Tensor interleave(Tensor even, Tensor odd, int axis) {
  std::vector<int64_t> split = even.shape().dims();
  split.insert(split.begin() + axis + 1, 1);
  Shape joined = even.shape();
  joined[axis] *= 2;
  return reshape(concat({reshape(even, Shape(split)), reshape(odd, Shape(split))}, axis + 1),
                 joined);
}

Tensor pad_axis(Tensor x, int axis, int64_t low, int64_t high) {
  std::vector<int64_t> lows(static_cast<size_t>(x.rank()), 0), highs = lows;
  lows[static_cast<size_t>(axis)] = low;
  highs[static_cast<size_t>(axis)] = high;
  return pad(x, lows, highs);
}

// Every `step`-th position along `axis`, `count` of them.
Tensor take_steps(Tensor x, int axis, int64_t start, int64_t count, int64_t step) {
  std::vector<int64_t> starts(static_cast<size_t>(x.rank()), 0), stops = x.shape().dims();
  std::vector<int64_t> steps(static_cast<size_t>(x.rank()), 1);
  starts[static_cast<size_t>(axis)] = start;
  stops[static_cast<size_t>(axis)] = start + (count - 1) * step + 1;
  steps[static_cast<size_t>(axis)] = step;
  return slice(x, starts, stops, steps);
}

// Zeros between the samples, then the filter [1,3,3,1]/4, in polyphase form.
Tensor fir_up_axis(Tensor x, int axis) {
  const int64_t extent = x.dim(axis);
  Tensor padded = pad_axis(x, axis, 1, 1);
  Tensor before = slice_axis(padded, axis, 0, extent);
  Tensor after = slice_axis(padded, axis, 2, extent + 2);
  return interleave(before * 0.25 + x * 0.75, x * 0.75 + after * 0.25, axis);
}

// The filter [1,3,3,1]/8 at every `step`-th position of x padded with zeros.
Tensor fir_axis(Tensor x, int axis, int64_t low, int64_t high, int64_t step) {
  Tensor padded = pad_axis(x, axis, low, high);
  const int64_t count = (padded.dim(axis) - 4) / step + 1;
  auto tap = [&](int64_t k) { return take_steps(padded, axis, k, count, step); };
  return (tap(0) + tap(3)) * 0.125 + (tap(1) + tap(2)) * 0.375;
}

// Linear interpolation from `in` to `out` samples as a matrix [out, in], align_corners false.
Tensor interpolation_matrix(Graph& graph, int64_t in, int64_t out) {
  std::vector<double> matrix(static_cast<size_t>(in * out), 0);
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    const double position = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
    const int64_t low = std::min(static_cast<int64_t>(position), in - 1);
    const int64_t high = std::min(low + 1, in - 1);
    const double weight = position - static_cast<double>(low);
    matrix[static_cast<size_t>(i * in + low)] += 1 - weight;
    matrix[static_cast<size_t>(i * in + high)] += weight;
  }
  return constant(graph, {out, in}, std::move(matrix));
}

}  // namespace

Tensor group_norm(Tensor x, Tensor gamma, Tensor beta, int64_t groups, double eps) {
  const Tensor operands[] = {x, gamma, beta};
  return x.graph().add(Op::kGroupNorm, x.dtype(), x.shape(), operands, NormAttr{groups, eps});
}

Tensor layer_norm(Tensor x, Tensor gamma, Tensor beta, double eps) {
  const Tensor operands[] = {x, gamma, beta};
  return x.graph().add(Op::kLayerNorm, x.dtype(), x.shape(), operands, NormAttr{1, eps});
}

Tensor softmax(Tensor x) {
  return x.graph().add(Op::kSoftmax, x.dtype(), x.shape(), std::span(&x, 1));
}

Tensor attention(Tensor q, Tensor k, Tensor v, int64_t heads, double scale) {
  const Tensor operands[] = {q, k, v};
  return q.graph().add(Op::kAttention, q.dtype(), q.shape(), operands, AttentionAttr{heads, scale});
}

Tensor upsample_nearest2x(Tensor x) {
  check_image(x, "upsample_nearest2x");
  const int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  Tensor repeated = broadcast_to(reshape(x, {n, h, 1, w, 1, c}), {n, h, 2, w, 2, c});
  return reshape(repeated, {n, 2 * h, 2 * w, c});
}

Tensor upsample_nearest(Tensor x, int64_t out_h, int64_t out_w) {
  check_image(x, "upsample_nearest");
  const int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  if (out_h == 2 * h && out_w == 2 * w) return upsample_nearest2x(x);
  std::vector<double> index;
  for (int64_t i = 0; i < out_h; ++i)
    for (int64_t j = 0; j < out_w; ++j)
      index.push_back(static_cast<double>(i * h / out_h * w + j * w / out_w));
  Tensor pixels = reshape(permute(x, {1, 2, 0, 3}), {h * w, n, c});
  Tensor chosen =
      gather(pixels, constant(x.graph(), {out_h * out_w}, std::move(index), DType::kU32));
  return permute(reshape(chosen, {out_h, out_w, n, c}), {2, 0, 1, 3});
}

// Separable: a small matrix for each of the two axes.
Tensor upsample_bilinear(Tensor x, int64_t out_h, int64_t out_w) {
  check_image(x, "upsample_bilinear");
  const int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  Tensor rows = matmul(interpolation_matrix(x.graph(), h, out_h), reshape(x, {n, h, w * c}));
  Tensor y = matmul(interpolation_matrix(x.graph(), w, out_w), reshape(rows, {n * out_h, w, c}));
  return reshape(y, {n, out_h, out_w, c});
}

Tensor avg_pool2(Tensor x) {
  check_image(x, "avg_pool2");
  const int64_t n = x.dim(0), h = x.dim(1) / 2, w = x.dim(2) / 2, c = x.dim(3);
  Tensor even = slice(x, {0, 0, 0, 0}, {n, 2 * h, 2 * w, c});
  return reshape(mean(reshape(even, {n, h, 2, w, 2, c}), {2, 4}), {n, h, w, c});
}

Tensor fir_up2(Tensor x) {
  check_image(x, "fir_up2");
  return fir_up_axis(fir_up_axis(x, 1), 2);
}

Tensor fir_down2(Tensor x) {
  check_image(x, "fir_down2");
  return fir_axis(fir_axis(x, 1, 1, 1, 2), 2, 1, 1, 2);
}

// A 3x3 convolution of the zero-stuffed image, then the filter with gain 4.
Tensor fir_up2_conv(Tensor x, Tensor weight) {
  check_image(x, "fir_up2_conv");
  const Shape stuffed{x.dim(0), 2 * x.dim(1) + 1, 2 * x.dim(2) + 1, weight.dim(3)};
  Tensor flipped = permute(flip(weight, {0, 1}), {0, 1, 3, 2});
  Tensor y = conv2d_grad_input(x, flipped, stuffed, ConvAttr{.stride = {2, 2}});
  return fir_axis(fir_axis(y, 1, 1, 1, 1), 2, 1, 1, 1) * 4.0;
}

Tensor fir_down2_conv(Tensor x, Tensor weight) {
  check_image(x, "fir_down2_conv");
  Tensor smooth = fir_axis(fir_axis(x, 1, 2, 2, 1), 2, 2, 2, 1);
  return conv2d(smooth, weight, ConvAttr{.stride = {2, 2}});
}

Tensor timestep_embedding(Tensor t, int64_t dim, bool flip_sin_to_cos, double downscale_freq_shift,
                          double scale, double max_period) {
  CHECK(t.rank() == 1,
        fmt::format("timestep_embedding needs [n], found {}", t.shape().to_string()));
  const int64_t half = dim / 2;
  // In single precision, step by step as the models' authors did: t * frequency reaches a thousand
  // radians, where a better frequency would be another function.
  std::vector<double> frequencies;
  for (int64_t i = 0; i < half; ++i) {
    float exponent = static_cast<float>(-std::log(max_period)) * static_cast<float>(i);
    exponent /= static_cast<float>(static_cast<double>(half) - downscale_freq_shift);
    frequencies.push_back(std::exp(exponent));
  }
  Tensor time = reshape(cast(t, DType::kF32), {t.dim(0), 1});
  Tensor angle = time * constant(t.graph(), {1, half}, std::move(frequencies)) * scale;
  Tensor s = sin(angle), c = cos(angle);
  Tensor features = flip_sin_to_cos ? concat({c, s}, 1) : concat({s, c}, 1);
  return dim % 2 == 0 ? features : pad_axis(features, 1, 0, 1);
}

Tensor fourier_features(Tensor x, Tensor w, bool log_input, bool flip_sin_to_cos) {
  CHECK(x.rank() == 1 && w.rank() == 1, "fourier_features needs x [n] and w [m]");
  Tensor position = reshape(log_input ? log(x) : x, {x.dim(0), 1});
  Tensor angle = position * w * (2 * std::numbers::pi);
  Tensor s = sin(angle), c = cos(angle);
  return flip_sin_to_cos ? concat({c, s}, 1) : concat({s, c}, 1);
}

}  // namespace ito
