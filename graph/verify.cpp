// Checks a graph against the op table.
#include "graph/ops/support.h"

namespace ito {

Status verify(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const OpDef& def = op_def(node.op);
    for (NodeId x : node.inputs)
      if (x >= id) return invalid_argument("node %{}: operand %{} does not come before it", id, x);
    if (def.arity >= 0 && static_cast<size_t>(def.arity) != node.inputs.size())
      return node_error(graph, node, "node %{} has {} operands, expected {}", id,
                        node.inputs.size(), def.arity);
    ITO_ASSIGN(Shape shape, def.infer(graph, node));
    if (shape != node.shape)
      return node_error(graph, node, "node %{} has shape {}, expected {}", id,
                        node.shape.to_string(), shape.to_string());
  }
  return {};
}

}  // namespace ito
