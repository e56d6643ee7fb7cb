// Text form of graphs.
#include <fmt/format.h>

#include "graph/graph.h"

namespace ito {

std::string to_text(const Graph& graph) {
  std::string text;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    std::string operands;
    for (NodeId x : node.inputs) operands += fmt::format("{}%{}", operands.empty() ? "" : ", ", x);
    text +=
        fmt::format("%{} = {}({}){} : {}{}", id, op_def(node.op).name, operands,
                    attrs_to_string(node.attrs), dtype_name(node.dtype), node.shape.to_string());
    if (!node.label.empty()) text += "  # " + node.label;
    text += '\n';
  }
  return text;
}

}  // namespace ito
