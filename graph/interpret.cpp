#include "graph/interpret.h"

#include "graph/ops/support.h"

namespace ito {
namespace {

Result<HostValue> input_value(const Node& node,
                              const std::unordered_map<std::string, HostValue>& inputs) {
  const std::string& name = std::get<InputAttr>(node.attrs).name;
  auto it = inputs.find(name);
  if (it == inputs.end()) return invalid_argument("interpret: no value for input '{}'", name);
  const HostValue& value = it->second;
  if (value.shape != node.shape)
    return invalid_argument("interpret: input '{}' has shape {}, expected {}", name,
                            value.shape.to_string(), node.shape.to_string());
  if (static_cast<int64_t>(value.data.size()) != node.shape.numel())
    return invalid_argument("interpret: input '{}' has {} values, expected {}", name,
                            value.data.size(), node.shape.numel());
  return value;
}

}  // namespace

Result<std::vector<HostValue>> interpret(const std::vector<Tensor>& results,
                                         const std::unordered_map<std::string, HostValue>& inputs) {
  if (results.empty()) return std::vector<HostValue>();
  const Graph& graph = results[0].graph();

  // How often each node's value is still wanted: by later nodes, and as a result.
  std::vector<uint32_t> wanted(graph.size(), 0);
  for (Tensor result : results) {
    CHECK(&result.graph() == &graph, "interpret: results of two graphs");
    ++wanted[result.id()];
  }
  for (NodeId id = graph.size(); id-- > 0;)
    if (wanted[id] > 0)
      for (NodeId x : graph.node(id).inputs) ++wanted[x];

  std::vector<HostValue> values(graph.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (wanted[id] == 0) continue;
    const Node& node = graph.node(id);
    if (node.op == Op::kInput) {
      ITO_ASSIGN(values[id], input_value(node, inputs));
      continue;
    }
    std::vector<const HostValue*> operands;
    for (NodeId x : node.inputs) operands.push_back(&values[x]);
    values[id] = op_def(node.op).eval(node, operands);
    for (NodeId x : node.inputs)
      if (--wanted[x] == 0) values[x] = HostValue();
  }
  std::vector<HostValue> out;
  for (Tensor result : results) out.push_back(values[result.id()]);
  return out;
}

}  // namespace ito
