// Self-attention over the pixels of an image, as diffusers' Attention does it inside U-Nets
// (parameters group_norm, to_q, to_k, to_v, to_out.0). Not cross-attention.
#pragma once

#include "nn/layers.h"

namespace ito {

struct AttentionBlockOptions {
  int64_t head_dim = 0;      // 0: one head as wide as the input
  int64_t norm_groups = 32;  // 0: no group norm
  double eps = 1e-5;
  double output_scale_factor = 1;  // the sum with the residual is divided by it
};

// x [n,h,w,c] → [n,h,w,c]. Heads: c / head_dim, rounded down; their joint width is heads *
// head_dim.
Tensor attention_block(const Scope& scope, Tensor x, const AttentionBlockOptions& options);

}  // namespace ito
