// Winograd's convolution F(4x4, 3x3): 36 products where 144 multiplications were, for tiles of 4x4
// results (Lavin and Gray, arXiv:1509.09308). Pictures and weights are transformed, products summed
// over channels as 36 independent contractions, and their results transformed back. The points of
// evaluation are 0, 1, -1, 1/2, -2 and infinity (Barabasz et al., arXiv:1803.10986), which keep the
// largest error at about three times that of the plain sum in f32
// (docs/decisions/0013-winograd.md).
#pragma once

#include <array>

#include "base/device_caps.h"
#include "graph/builder.h"
#include "graph/passes/prologue.h"

namespace ito {

// 3x3 weights as addresses in a stored tensor; steps may be negative.
struct WinogradWeights {
  NodeId base = kNoNode;
  int64_t offset = 0;                       // of the tap that meets a window's first pixel
  std::array<int64_t, 2> step = {0, 0};     // from a tap to the next
  int64_t channel_in = 0, channel_out = 0;  // strides
};

// The correlation of x [n,h,w,ci], padded by `pad` (top, bottom, left, right), with the weights: of
// shape `out` [n,oh,ow,co]. Empty where the device is better off without; not depending on n, but
// on whether the prologue keeps the transformed weights.
Tensor winograd_conv(Tensor x, std::array<int64_t, 4> pad, const WinogradWeights& w,
                     const Shape& out, const DeviceCaps& caps, PrologueRoom& prologue);

// Its gradient by the weights: of shape `out` [3,3,ci,co]. Empty where another way is better.
Tensor winograd_grad_weight(Tensor x, std::array<int64_t, 4> pad, Tensor dy, const Shape& out,
                            const DeviceCaps& caps);

}  // namespace ito
