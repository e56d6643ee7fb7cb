#include "nn/attention_block.h"

#include <cmath>

#include "base/check.h"

namespace ito {

Tensor attention_block(const Scope& scope, Tensor x, const AttentionBlockOptions& options) {
  const ScopeLabel label(x.graph(), scope);
  const int64_t channels = x.dim(3);
  const int64_t head_dim = options.head_dim == 0 ? channels : options.head_dim;
  const int64_t heads = channels / head_dim;
  CHECK(heads >= 1, "an attention head wider than its input");

  Tensor h = x;
  if (options.norm_groups != 0) {
    h = group_norm(scope / "group_norm", h, options.norm_groups, options.eps);
  }
  h = reshape(h, Shape{x.dim(0), x.dim(1) * x.dim(2), channels});
  const Tensor q = linear(scope / "to_q", h, heads * head_dim);
  const Tensor k = linear(scope / "to_k", h, heads * head_dim);
  const Tensor v = linear(scope / "to_v", h, heads * head_dim);
  h = attention(q, k, v, heads, 1 / std::sqrt(static_cast<double>(head_dim)));
  h = linear(scope / "to_out" / 0, h, channels);
  const Tensor y = x + reshape(h, x.shape());
  return options.output_scale_factor == 1 ? y : y / options.output_scale_factor;
}

}  // namespace ito
