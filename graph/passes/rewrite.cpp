#include "graph/passes/rewrite.h"

namespace ito {

std::vector<bool> live_nodes(const Program& program) {
  std::vector<bool> live(program.graph->size(), false);
  for (const ProgramOutput& output : program.outputs) live[output.value.id()] = true;
  for (NodeId id = program.graph->size(); id-- > 0;) {
    if (!live[id]) continue;
    for (NodeId input : program.graph->node(id).inputs) live[input] = true;
  }
  return live;
}

Program rewrite(const Program& program, const RewriteRule& rule) {
  const Graph& old_graph = *program.graph;
  Program result;
  result.name = program.name;
  Graph& graph = *result.graph;
  std::vector<bool> live = live_nodes(program);
  std::vector<Tensor> mapped(old_graph.size());
  std::vector<Tensor> inputs;
  for (NodeId id = 0; id < old_graph.size(); ++id) {
    if (!live[id]) continue;
    const Node& node = old_graph.node(id);
    inputs.clear();
    for (NodeId input : node.inputs) inputs.push_back(mapped[input]);
    graph.set_label(node.label);
    Tensor replacement = rule(graph, Tensor(program.graph.get(), id), inputs);
    if (!replacement) replacement = graph.add(node.op, node.dtype, node.shape, inputs, node.attrs);
    CHECK(replacement.shape() == node.shape, "a rewrite changed the shape of " + node.label +
                                                 " from " + node.shape.to_string() + " to " +
                                                 replacement.shape().to_string());
    CHECK(replacement.dtype() == node.dtype, "a rewrite changed the type of " + node.label +
                                                 " from " + std::string(dtype_name(node.dtype)) +
                                                 " to " +
                                                 std::string(dtype_name(replacement.dtype())));
    mapped[id] = replacement;
  }
  for (const ProgramOutput& output : program.outputs)
    result.outputs.push_back({output.name, mapped[output.value.id()], output.donated});
  return result;
}

}  // namespace ito
