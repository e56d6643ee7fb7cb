#include "nn/transformer2d.h"

#include <cmath>

#include "base/check.h"

namespace ito {
namespace {

constexpr double kGroupNormEps = 1e-6, kLayerNormEps = 1e-5;
constexpr int64_t kFeedForwardMultiple = 4;

// Queries of x [n,s,c], keys and values of `states` [n,l,d] (x itself for self-attention).
Tensor attend(const Scope& scope, Tensor x, Tensor states, int64_t heads) {
  const int64_t channels = x.dim(2);
  const Tensor q = linear(scope / "to_q", x, channels, /*bias=*/false);
  const Tensor k = linear(scope / "to_k", states, channels, /*bias=*/false);
  const Tensor v = linear(scope / "to_v", states, channels, /*bias=*/false);
  const double scale = 1 / std::sqrt(static_cast<double>(channels / heads));
  return linear(scope / "to_out" / 0, attention(q, k, v, heads, scale), channels);
}

// One half of a widened x, gated by the GELU of the other, and back.
Tensor feed_forward(const Scope& scope, Tensor x) {
  const int64_t channels = x.dim(2), inner = kFeedForwardMultiple * channels;
  const Tensor wide = linear(scope / "net" / 0 / "proj", x, 2 * inner);
  const Tensor value = slice_axis(wide, 2, 0, inner), gate = slice_axis(wide, 2, inner, 2 * inner);
  return linear(scope / "net" / 2, value * gelu(gate), channels);
}

Tensor transformer_block(const Scope& scope, Tensor x, Tensor context, int64_t heads) {
  const Tensor own = layer_norm(scope / "norm1", x, kLayerNormEps);
  x = x + attend(scope / "attn1", own, own, heads);
  x = x + attend(scope / "attn2", layer_norm(scope / "norm2", x, kLayerNormEps), context, heads);
  return x + feed_forward(scope / "ff", layer_norm(scope / "norm3", x, kLayerNormEps));
}

}  // namespace

Tensor transformer2d(const Scope& scope, Tensor x, Tensor context,
                     const Transformer2DOptions& options) {
  const ScopeLabel label(x.graph(), scope);
  const int64_t channels = x.dim(3);
  CHECK(channels % options.heads == 0, "the heads must divide the channels");
  const Shape rows{x.dim(0), x.dim(1) * x.dim(2), channels};
  // Channels are last, so that a 1x1 convolution is the same linear map with another weight shape.
  const auto project = [&](const char* name, Tensor of) {
    if (options.linear_projection) return linear(scope / name, reshape(of, rows), channels);
    return reshape(conv2d_1x1(scope / name, reshape(of, x.shape()), channels), rows);
  };
  Tensor h = group_norm(scope / "norm", x, options.norm_groups, kGroupNormEps);
  h = project("proj_in", h);
  for (int64_t i = 0; i < options.layers; ++i)
    h = transformer_block(scope / "transformer_blocks" / i, h, context, options.heads);
  return x + reshape(project("proj_out", h), x.shape());
}

}  // namespace ito
