#include <set>

#include "graph/passes/fuse.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

Tensor copy_of(Tensor x) {
  Tensor inputs[] = {x};
  return x.graph().add(Op::kStopGradient, x.dtype(), x.shape(), inputs);
}

bool is_leaf(const Node& node) { return op_def(node.op).op_class == OpClass::kLeaf; }

NodeId behind_reshapes(const Graph& graph, NodeId id) {
  while (graph.node(id).op == Op::kReshape) id = graph.node(id).inputs[0];
  return id;
}

}  // namespace

bool is_placed_concat(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  // Few parts are selected inline: placing them would store each first.
  if (node.op != Op::kConcat || node.inputs.size() < 5) return false;
  int64_t axis = std::get<AxesAttr>(node.attrs).axes[0];
  for (int i = 0; i < axis; ++i)
    if (node.shape[i] != 1) return false;
  return true;
}

Program separate_results(const Program& program) {
  std::set<NodeId> taken;  // in the new graph: nodes whose place in memory is already decided
  Program result =
      rewrite(program, [&](Graph& graph, Tensor old, std::span<const Tensor> inputs) -> Tensor {
        if (!is_placed_concat(*program.graph, old.id())) return {};
        std::vector<Tensor> parts;
        for (Tensor part : inputs) {
          NodeId source = behind_reshapes(graph, part.id());
          if (is_leaf(graph.node(source)) || is_placed_concat(graph, source) ||
              !taken.insert(source).second) {
            part = copy_of(part);
            while (!taken.insert(part.id()).second) part = copy_of(part);
          }
          parts.push_back(part);
        }
        return graph.add(old.node().op, old.dtype(), old.shape(), parts, old.node().attrs);
      });
  for (ProgramOutput& output : result.outputs) {
    NodeId source = behind_reshapes(*result.graph, output.value.id());
    bool in_parts = output.donated && is_placed_concat(*result.graph, source);
    while (in_parts || is_leaf(result.graph->node(source)) || taken.contains(source)) {
      in_parts = false;
      output.value = copy_of(output.value);
      source = output.value.id();
    }
    taken.insert(source);
    taken.insert(output.value.id());
  }
  return result;
}

}  // namespace ito
