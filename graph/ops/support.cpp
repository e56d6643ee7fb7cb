#include "graph/ops/support.h"

#include "base/check.h"
#include "base/half.h"

namespace ito {

std::string node_title(const Node& node) {
  std::string title(op_def(node.op).name);
  if (!node.label.empty()) title += " at " + node.label;
  return title;
}

std::string operand_list(const Graph& graph, const Node& node) {
  std::string list;
  for (NodeId id : node.inputs) {
    const Node& x = graph.node(id);
    if (!list.empty()) list += ", ";
    list += fmt::format("{}{}", dtype_name(x.dtype), x.shape.to_string());
  }
  return list;
}

Status check_float_operands(const Graph& graph, const Node& node) {
  if (!is_float(node.dtype))
    return node_error(graph, node, "expected a float result, found {}", dtype_name(node.dtype));
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (operand(graph, node, i).dtype != node.dtype)
      return node_error(graph, node, "operand {} must be {}", i, dtype_name(node.dtype));
  return {};
}

std::vector<int64_t> broadcast_strides(const Shape& inner, const Shape& outer) {
  std::vector<int64_t> strides = inner.strides();
  for (int i = 0; i < inner.rank(); ++i)
    if (inner[i] != outer[i]) strides[static_cast<size_t>(i)] = 0;
  return strides;
}

Shape reduced_shape(Shape shape, const std::vector<int64_t>& axes) {
  for (int64_t axis : axes) shape[static_cast<int>(axis)] = 1;
  return shape;
}

const std::vector<double>& factor(const HostValue& x, DType multiply, std::vector<double>& buffer) {
  if (multiply == DType::kF32) return x.data;
  CHECK(dtype_size(multiply) == 2, "a contraction multiplies in f32, f16 or bf16");
  const auto rounded = [multiply](float value) {
    return multiply == DType::kF16 ? half_to_float(float_to_half(value))
                                   : bfloat16_to_float(float_to_bfloat16(value));
  };
  buffer.reserve(x.data.size());
  for (const double value : x.data) buffer.push_back(rounded(static_cast<float>(value)));
  return buffer;
}

}  // namespace ito
