// Convolutions and their gradients as contractions over padded operands, or as Winograd's products
// of transformed tiles.
#include <algorithm>
#include <array>

#include "base/integer.h"
#include "graph/passes/gradient_padding.h"
#include "graph/passes/lowering.h"
#include "graph/passes/winograd.h"

namespace ito {
namespace {

// What passes/winograd knows how to compute.
bool has_winograd_form(const ConvAttr& conv, const Shape& w) {
  return w[0] == 3 && w[1] == 3 && conv.groups == 1 && conv.multiply == DType::kF32 &&
         conv.stride == std::array<int64_t, 2>{1, 1} &&
         conv.dilation == std::array<int64_t, 2>{1, 1};
}

Tensor lower_conv(Tensor x, Tensor w, const ConvAttr& conv, const Shape& out,
                  const DeviceCaps& caps, PrologueRoom& prologue) {
  AffineView b = operand_view(w);
  if (has_winograd_form(conv, w.shape())) {
    const WinogradWeights taps{
        b.base, b.offset, {b.strides[0], b.strides[1]}, b.strides[2], b.strides[3]};
    if (Tensor y = winograd_conv(x, conv.pad, taps, out, caps, prologue)) return y;
  }
  x = pad_or_cut(x, conv.pad[0], conv.pad[1], conv.pad[2], conv.pad[3]);
  AffineView a = operand_view(x);
  const auto& sa = a.strides;
  const auto& sb = b.strides;
  int64_t g = conv.groups, ci = w.dim(2), co = w.dim(3) / g;
  int64_t row = out[2] * out[3];
  ContractAttr attr;
  attr.multiply = conv.multiply;
  attr.dims = {{out[0], sa[0], 0, out[1] * row},
               {out[1], conv.stride[0] * sa[1], 0, row},
               {out[2], conv.stride[1] * sa[2], 0, out[3]},
               {g, ci * sa[3], co * sb[3], co},
               {co, 0, sb[3], 1},
               {w.dim(0), conv.dilation[0] * sa[1], sb[0], 0},
               {w.dim(1), conv.dilation[1] * sa[2], sb[1], 0},
               {ci, sa[3], sb[2], 0}};
  return build_contract(x.graph(), attr, out, a, b, caps, ImageDim::kFirst);
}

// For strides 1 and 2. Pixel s i + p of dx (phase p < s) meets only the taps k with k = p + pad
// (mod s), and those in rows i + floor((p + pad) / s) - j of dy, where k = s j + (p + pad) mod s.
// So each phase is a convolution of dy with every s-th tap; with as many taps j for every phase
// (zeros where one has fewer: for 3 taps and stride 2, 4 of 9 products remain) all phases are one
// contraction, with the phase as an output dim of its own, that writes dx in its order.
Tensor lower_conv_grad_input_phases(Tensor dy, Tensor w, const ConvAttr& conv, const Shape& out,
                                    const DeviceCaps& caps) {
  int64_t taps[2], whole[2], low[2], high[2], step[2];
  std::vector<int64_t> reversed = {0, 2};
  for (int i = 0; i < 2; ++i) {
    const int64_t s = conv.stride[i], padding = conv.pad[2 * i];
    taps[i] = ceil_div(w.dim(i), s);
    whole[i] = ceil_div(out[1 + i], s) * s;
    low[i] = taps[i] - 1 - padding / s;
    high[i] = whole[i] / s - 1 + (s - 1 + padding) / s - (dy.dim(1 + i) - 1);
    step[i] = (s - 1 + padding) / s - padding / s;  // from the first phase's rows to the last's
    if (s == 2 && padding % 2 != 0) reversed.push_back(2 * i + 1);
  }
  dy = pad_or_cut(dy, low[0], high[0], low[1], high[1]);
  const int64_t sh = conv.stride[0], sw = conv.stride[1], ci = w.dim(2), co = w.dim(3);
  w = pad(w, {0, 0, 0, 0}, {taps[0] * sh - w.dim(0), taps[1] * sw - w.dim(1), 0, 0});
  w = flip(reshape(w, {taps[0], sh, taps[1], sw, ci, co}), reversed);
  w = permute(w, {1, 3, 0, 2, 5, 4});  // phases, taps, co, ci: lanes over input channels
  const AffineView a = operand_view(dy), b{w.id(), 0, w.shape().strides()};
  const auto& sa = a.strides;
  const auto& sb = b.strides;
  const Shape all{out[0], whole[0], whole[1], ci};
  const int64_t row = whole[1] * ci;
  ContractAttr attr;
  attr.multiply = conv.multiply;
  attr.dims = {{out[0], sa[0], 0, whole[0] * row},
               {whole[0] / sh, sa[1], 0, sh * row},
               {sh, step[0] * sa[1], sb[0], row},
               {whole[1] / sw, sa[2], 0, sw * ci},
               {sw, step[1] * sa[2], sb[1], ci},
               {ci, 0, sb[5], 1},
               {taps[0], sa[1], sb[2], 0},
               {taps[1], sa[2], sb[3], 0},
               {co, sa[3], sb[4], 0}};
  Tensor dx = build_contract(dy.graph(), attr, all, a, b, caps, ImageDim::kFirst);
  return all == out ? dx : slice(dx, {0, 0, 0, 0}, out.dims());
}

bool has_phases(const ConvAttr& conv) {
  bool strided = false;
  for (size_t i = 0; i < 2; ++i) {
    if (conv.stride[i] > 2 || conv.dilation[i] != 1) return false;
    strided |= conv.stride[i] == 2;
  }
  return strided && conv.groups == 1;
}

// dx = conv of dy (dilated by the stride, fully padded) with the flipped weight.
Tensor lower_conv_grad_input(Tensor dy, Tensor w, const ConvAttr& conv, const Shape& out,
                             const DeviceCaps& caps, PrologueRoom& prologue) {
  if (has_phases(conv)) return lower_conv_grad_input_phases(dy, w, conv, out, caps);
  const GradientPadding p = gradient_padding(dy.shape(), w.shape(), conv, out);
  if (has_winograd_form(conv, w.shape())) {
    const AffineView b = operand_view(w);
    const WinogradWeights flipped{b.base,
                                  b.offset + 2 * (b.strides[0] + b.strides[1]),
                                  {-b.strides[0], -b.strides[1]},
                                  b.strides[3],
                                  b.strides[2]};
    if (Tensor dx = winograd_conv(dy, {p.low[0], p.high[0], p.low[1], p.high[1]}, flipped, out,
                                  caps, prologue))
      return dx;
  }
  dy = pad_or_cut(dy, p.low[0], p.high[0], p.low[1], p.high[1], conv.stride[0] - 1,
                  conv.stride[1] - 1);
  int64_t g = conv.groups, ci = w.dim(2), co = w.dim(3) / g;
  if (w.dim(0) > 1 || w.dim(1) > 1) w = flip(w, {0, 1});
  // Lanes run over input channels: a copy makes them contiguous, which the convolution repays many
  // times over. Looking through the permutation would read the weight with a stride.
  if (g == 1) w = permute(w, {0, 1, 3, 2});
  AffineView a = operand_view(dy);
  AffineView b = g == 1 ? AffineView{w.id(), 0, w.shape().strides()} : operand_view(w);
  const auto& sa = a.strides;
  int64_t b_ci = b.strides[g == 1 ? 3 : 2], b_co = b.strides[g == 1 ? 2 : 3];
  int64_t row = out[2] * out[3];
  ContractAttr attr;
  attr.multiply = conv.multiply;
  attr.dims = {{out[0], sa[0], 0, out[1] * row},
               {out[1], sa[1], 0, row},
               {out[2], sa[2], 0, out[3]},
               {g, co * sa[3], co * b_co, ci},
               {ci, 0, b_ci, 1},
               {w.dim(0), conv.dilation[0] * sa[1], b.strides[0], 0},
               {w.dim(1), conv.dilation[1] * sa[2], b.strides[1], 0},
               {co, sa[3], b_co, 0}};
  return build_contract(dy.graph(), attr, out, a, b, caps, ImageDim::kFirst);
}

Tensor lower_conv_grad_weight(Tensor x, Tensor dy, const ConvAttr& conv, const Shape& out,
                              const DeviceCaps& caps) {
  if (has_winograd_form(conv, out))
    if (Tensor dw = winograd_grad_weight(x, conv.pad, dy, out, caps)) return dw;
  x = pad_or_cut(x, conv.pad[0], conv.pad[1], conv.pad[2], conv.pad[3]);
  AffineView a = operand_view(x), b = operand_view(dy);
  const auto& sa = a.strides;
  const auto& sb = b.strides;
  int64_t g = conv.groups, ci = out[2], co = out[3] / g;
  ContractAttr attr;
  attr.multiply = conv.multiply;
  attr.dims = {{out[0], conv.dilation[0] * sa[1], 0, out[1] * ci * out[3]},
               {out[1], conv.dilation[1] * sa[2], 0, ci * out[3]},
               {ci, sa[3], 0, out[3]},
               {g, ci * sa[3], co * sb[3], co},
               {co, 0, sb[3], 1},
               {dy.dim(0), sa[0], sb[0], 0},
               {dy.dim(1), conv.stride[0] * sa[1], sb[1], 0},
               {dy.dim(2), conv.stride[1] * sa[2], sb[2], 0}};
  return build_contract(x.graph(), attr, out, a, b, caps, ImageDim::kSummed);
}

}  // namespace

Tensor lower_convolution(const Node& node, Tensor a, Tensor b, const DeviceCaps& caps,
                         PrologueRoom& prologue) {
  const auto& conv = std::get<ConvAttr>(node.attrs);
  if (node.op == Op::kConv2d) return lower_conv(a, b, conv, node.shape, caps, prologue);
  if (node.op == Op::kConv2dGradInput)
    return lower_conv_grad_input(a, b, conv, node.shape, caps, prologue);
  CHECK(node.op == Op::kConv2dGradWeight, "no direction of a convolution");
  return lower_conv_grad_weight(a, b, conv, node.shape, caps);
}

}  // namespace ito
