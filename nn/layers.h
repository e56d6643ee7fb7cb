// The layers that networks are made of: functions from tensors to tensors that ask their Scope for
// weights, with PyTorch's parameter names ("weight", "bias") and initialisation.
// Not the arithmetic (graph/builder.h) and not whole blocks (nn/resnet.h, nn/attention_block.h).
#pragma once

#include <string_view>

#include "base/unet2d_config.h"
#include "nn/scope.h"

namespace ito {

struct Conv2dOptions {
  int64_t kernel = 3;
  int64_t stride = 1;
  std::array<int64_t, 4> pad = {1, 1, 1, 1};  // top, bottom, left, right
  bool bias = true;
};

// x [n,h,w,ci] → [n,oh,ow,channels]. weight (PyTorch) [channels, ci, kernel, kernel].
Tensor conv2d(const Scope& scope, Tensor x, int64_t channels, const Conv2dOptions& options = {});
// The same, bias not yet added: for callers that have a better place for it.
struct Conv2dParts {
  Tensor y = {};
  Tensor bias = {};  // [channels]; empty without bias
};
Conv2dParts conv2d_parts(const Scope& scope, Tensor x, int64_t channels,
                         const Conv2dOptions& options = {});
// 1x1 convolution without padding.
Tensor conv2d_1x1(const Scope& scope, Tensor x, int64_t channels);

// x [..., in] → [..., features]. weight (PyTorch) [features, in].
Tensor linear(const Scope& scope, Tensor x, int64_t features, bool bias = true);

// x [n,...,c], statistics per n and group (Wu and He 2018). c must be a multiple of groups.
Tensor group_norm(const Scope& scope, Tensor x, int64_t groups, double eps);

// Statistics over the last axis (Ba et al. 2016).
Tensor layer_norm(const Scope& scope, Tensor x, double eps);

// Rows of a table [rows, features] chosen by index (u32 or i32, [n]) → [n, features].
Tensor embedding(const Scope& scope, Tensor index, int64_t rows, int64_t features);

// One of activation_names(): "silu" and "swish" (the same), "mish", "gelu" (by erf), "relu".
Tensor activation(std::string_view name, Tensor x);

// linear_1 → SiLU → linear_2, both `dim` wide (diffusers' TimestepEmbedding).
Tensor time_mlp(const Scope& scope, Tensor features, int64_t dim);

// [n,h,w,c] → [n,oh,ow,c], nearest neighbour; the exact doubling takes the cheaper op.
Tensor upsample_to(Tensor x, int64_t out_h, int64_t out_w);

// 2x2 means with stride 2; an odd last row or column is dropped, as PyTorch does.
Tensor average_pool(Tensor x);

}  // namespace ito
