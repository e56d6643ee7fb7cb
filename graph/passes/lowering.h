// What the files that lower contractions share: operands as addresses into stored tensors, padding,
// and the contraction that is built of them. Private to passes/lower*.
#pragma once

#include "base/device_caps.h"
#include "graph/builder.h"
#include "graph/kernels/contract.h"
#include "graph/passes/prologue.h"
#include "graph/passes/view.h"

namespace ito {

// The stored tensor behind an operand, with the strides of the operand's axes in it.
AffineView operand_view(Tensor x);

// A kContract of the two, offsets added, its reduction split where that fills the device.
Tensor build_contract(Graph& graph, ContractAttr attr, Shape shape, const AffineView& a,
                      const AffineView& b, const DeviceCaps& caps, ImageDim images);

// Pads two spatial axes of [n,h,w,c]; negative amounts cut.
Tensor pad_or_cut(Tensor x, int64_t top, int64_t bottom, int64_t left, int64_t right,
                  int64_t interior_h = 0, int64_t interior_w = 0);

// kConv2d, kConv2dGradInput or kConv2dGradWeight, `node`, of operands that are lowered already.
Tensor lower_convolution(const Node& node, Tensor a, Tensor b, const DeviceCaps& caps,
                         PrologueRoom& prologue);

}  // namespace ito
