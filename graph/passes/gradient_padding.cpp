#include "graph/passes/gradient_padding.h"

#include <algorithm>
#include <set>

#include "graph/builder.h"
#include "graph/passes/rewrite.h"

namespace ito {

GradientPadding gradient_padding(const Shape& dy, const Shape& w, const ConvAttr& conv,
                                 const Shape& out) {
  GradientPadding p{};
  for (int i = 0; i < 2; ++i) {
    const auto axis = static_cast<size_t>(i);
    const int64_t reach = conv.dilation[axis] * (w[i] - 1);
    const int64_t dilated = (dy[1 + i] - 1) * conv.stride[axis] + 1;
    p.low[axis] = reach - conv.pad[2 * axis];
    p.high[axis] = out[1 + i] + reach - p.low[axis] - dilated;
  }
  return p;
}

std::map<NodeId, GradientPadding> padded_gradients(const Program& program) {
  const Graph& graph = *program.graph;
  std::set<NodeId> outputs;
  for (const ProgramOutput& output : program.outputs) outputs.insert(output.value.id());
  std::map<NodeId, GradientPadding> result;
  const std::vector<bool> live = live_nodes(program);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!live[id] || node.op != Op::kConv2dGradInput) continue;
    const auto& conv = std::get<ConvAttr>(node.attrs);
    const NodeId dy = node.inputs[0];
    NodeId made = dy;
    while (graph.node(made).op == Op::kReshape) made = graph.node(made).inputs[0];
    if (op_def(graph.node(made).op).op_class != OpClass::kElementwise || outputs.contains(dy) ||
        conv.stride != std::array<int64_t, 2>{1, 1})
      continue;
    const GradientPadding p =
        gradient_padding(graph.node(dy).shape, graph.node(node.inputs[1]).shape, conv, node.shape);
    const int64_t least = std::min({p.low[0], p.low[1], p.high[0], p.high[1]});
    const int64_t most = std::max({p.low[0], p.low[1], p.high[0], p.high[1]});
    if (least >= 0 && most > 0) result.try_emplace(dy, p);
  }
  return result;
}

Tensor inside_padding(Tensor x, const GradientPadding& p) {
  const Tensor padded = pad(x, {0, p.low[0], p.low[1], 0}, {0, p.high[0], p.high[1], 0});
  return slice(padded, {0, p.low[0], p.low[1], 0},
               {x.dim(0), p.low[0] + x.dim(1), p.low[1] + x.dim(2), x.dim(3)});
}

}  // namespace ito
