// Which gradients are stored with the padding that a convolution's own gradient needs around them.
#pragma once

#include <array>
#include <map>

#include "graph/program.h"

namespace ito {

// What lies around dy, by spatial axis, where its gradient is taken by the input.
struct GradientPadding {
  std::array<int64_t, 2> low, high;
};

GradientPadding gradient_padding(const Shape& dy, const Shape& w, const ConvAttr& conv,
                                 const Shape& out);

// Gradients that a convolution needs padded, with their padding. Others who need them take them out
// of the padded one, so that each is stored once: who computes it writes it with its padding.
std::map<NodeId, GradientPadding> padded_gradients(const Program& program);

// x as the inside of itself padded with zeros.
Tensor inside_padding(Tensor x, const GradientPadding& p);

}  // namespace ito
