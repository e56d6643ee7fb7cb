#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

// Larger results stay as ops: recomputing them costs less than storing them in the binary plan.
constexpr int64_t kLargestFold = 1 << 16;

bool is_constant(const Node& node) { return node.op == Op::kConstant || node.op == Op::kFull; }

HostValue constant_value(const Node& node) {
  HostValue value{node.shape, {}};
  if (const auto* dense = std::get_if<ConstantAttr>(&node.attrs))
    value.data = *dense->data;
  else
    value.data.assign(static_cast<size_t>(node.shape.numel()),
                      std::get<FullAttr>(node.attrs).value);
  return value;
}

Tensor fold(Graph& graph, const Node& node, std::span<const Tensor> inputs) {
  const OpDef& def = op_def(node.op);
  if (inputs.empty() || !def.eval || node.shape.numel() > kLargestFold) return {};
  for (Tensor input : inputs)
    if (!is_constant(input.node()) || input.shape().numel() > kLargestFold) return {};
  std::vector<HostValue> values;
  values.reserve(inputs.size());
  for (Tensor input : inputs) values.push_back(constant_value(input.node()));
  std::vector<const HostValue*> pointers;
  for (const HostValue& value : values) pointers.push_back(&value);
  HostValue result = def.eval(node, pointers);
  bool uniform = true;
  for (double element : result.data) uniform &= element == result.data[0];
  if (uniform && !result.data.empty())
    return graph.add(Op::kFull, node.dtype, node.shape, {}, FullAttr{result.data[0]});
  return graph.add(
      Op::kConstant, node.dtype, node.shape, {},
      ConstantAttr{std::make_shared<const std::vector<double>>(std::move(result.data))});
}

}  // namespace

Program canonicalize(const Program& program) {
  return rewrite(program, [](Graph& graph, Tensor old, std::span<const Tensor> inputs) -> Tensor {
    if (old.node().op == Op::kStopGradient) return inputs[0];
    return fold(graph, old.node(), inputs);
  });
}

}  // namespace ito
