#include "nn/layers.h"

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

ParameterSpec uniform(Shape foreign_shape, Layout layout, int64_t fan_in) {
  return {.foreign_shape = std::move(foreign_shape),
          .layout = layout,
          .init = Init::kUniform,
          .fan_in = fan_in};
}

}  // namespace

Tensor conv2d(const Scope& scope, Tensor x, int64_t channels, const Conv2dOptions& options) {
  const Conv2dParts parts = conv2d_parts(scope, x, channels, options);
  return parts.bias ? parts.y + parts.bias : parts.y;
}

Conv2dParts conv2d_parts(const Scope& scope, Tensor x, int64_t channels,
                         const Conv2dOptions& options) {
  const ScopeLabel label(x.graph(), scope);
  const int64_t k = options.kernel;
  const int64_t fan_in = x.dim(3) * k * k;
  const Tensor weight =
      scope.parameter("weight", uniform(Shape{channels, x.dim(3), k, k}, Layout::kConv, fan_in));
  const ConvAttr attr{.stride = {options.stride, options.stride}, .pad = options.pad};
  Conv2dParts parts{.y = conv2d(x, weight, attr)};
  if (options.bias) {
    parts.bias = scope.parameter("bias", uniform(Shape{channels}, Layout::kPlain, fan_in));
  }
  return parts;
}

Tensor conv2d_1x1(const Scope& scope, Tensor x, int64_t channels) {
  return conv2d(scope, x, channels, {.kernel = 1, .pad = {0, 0, 0, 0}});
}

Tensor linear(const Scope& scope, Tensor x, int64_t features, bool bias) {
  const ScopeLabel label(x.graph(), scope);
  const int64_t in = x.dim(-1);
  const Tensor weight =
      scope.parameter("weight", uniform(Shape{features, in}, Layout::kLinear, in));
  if (!bias) return linear(x, weight);
  return linear(x, weight, scope.parameter("bias", uniform(Shape{features}, Layout::kPlain, in)));
}

Tensor group_norm(const Scope& scope, Tensor x, int64_t groups, double eps) {
  const ScopeLabel label(x.graph(), scope);
  const Shape shape{x.dim(-1)};
  const Tensor gamma = scope.parameter("weight", {.foreign_shape = shape, .init = Init::kOnes});
  const Tensor beta = scope.parameter("bias", {.foreign_shape = shape, .init = Init::kZeros});
  return group_norm(x, gamma, beta, groups, eps);
}

Tensor layer_norm(const Scope& scope, Tensor x, double eps) {
  const ScopeLabel label(x.graph(), scope);
  const Shape shape{x.dim(-1)};
  const Tensor gamma = scope.parameter("weight", {.foreign_shape = shape, .init = Init::kOnes});
  const Tensor beta = scope.parameter("bias", {.foreign_shape = shape, .init = Init::kZeros});
  return layer_norm(x, gamma, beta, eps);
}

Tensor embedding(const Scope& scope, Tensor index, int64_t rows, int64_t features) {
  const ScopeLabel label(index.graph(), scope);
  const Tensor table =
      scope.parameter("weight", {.foreign_shape = Shape{rows, features}, .init = Init::kNormal});
  return gather(table, index);
}

Tensor activation(std::string_view name, Tensor x) {
  if (name == "silu" || name == "swish") return silu(x);
  if (name == "mish") return x * tanh(softplus(x));  // Misra 2019
  if (name == "gelu") return gelu(x);
  CHECK(name == "relu", "unchecked activation " + std::string(name));
  return relu(x);
}

Tensor time_mlp(const Scope& scope, Tensor features, int64_t dim) {
  const Tensor hidden = linear(scope / "linear_1", features, dim);
  return linear(scope / "linear_2", silu(hidden), dim);
}

Tensor upsample_to(Tensor x, int64_t out_h, int64_t out_w) {
  if (out_h == 2 * x.dim(1) && out_w == 2 * x.dim(2)) return upsample_nearest2x(x);
  return upsample_nearest(x, out_h, out_w);
}

Tensor average_pool(Tensor x) {
  for (int axis : {1, 2}) {
    if (x.dim(axis) % 2 != 0) x = slice_axis(x, axis, 0, x.dim(axis) - 1);
  }
  return avg_pool2(x);
}

}  // namespace ito
