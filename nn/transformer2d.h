// Transformers over the pixels of an image that also attend to a context (Rombach et al. 2022):
// diffusers' Transformer2DModel with continuous input and its BasicTransformerBlock, and their
// parameter names. Not the self-attention of plain U-Nets (nn/attention_block.h).
#pragma once

#include "nn/layers.h"

namespace ito {

struct Transformer2DOptions {
  int64_t heads = 8;   // divides the channels
  int64_t layers = 1;  // transformer blocks one after the other
  int64_t norm_groups = 32;
  bool linear_projection = false;  // proj_in and proj_out: linear, else 1x1 convolutions
};

// x [n,h,w,c], context f32 [n,l,d] → [n,h,w,c]. Each block: self-attention, cross-attention to the
// context, and a feed-forward network with GEGLU (Shazeer 2020), each on a layer norm of its input
// and added to it.
Tensor transformer2d(const Scope& scope, Tensor x, Tensor context,
                     const Transformer2DOptions& options);

}  // namespace ito
