// Leaves: tensors without operands.
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

Result<Shape> infer_input(const Graph& graph, const Node& node) {
  const auto* attr = std::get_if<InputAttr>(&node.attrs);
  if (!attr || attr->name.empty()) return node_error(graph, node, "an input needs a name");
  return node.shape;
}

Result<Shape> infer_constant(const Graph& graph, const Node& node) {
  const auto* attr = std::get_if<ConstantAttr>(&node.attrs);
  if (!attr || !attr->data) return node_error(graph, node, "a constant needs data");
  if (static_cast<int64_t>(attr->data->size()) != node.shape.numel())
    return node_error(graph, node, "shape {} needs {} values, found {}", node.shape.to_string(),
                      node.shape.numel(), attr->data->size());
  return node.shape;
}

HostValue eval_constant(const Node& node, std::span<const HostValue* const>) {
  return {node.shape, *std::get<ConstantAttr>(node.attrs).data};
}

Result<Shape> infer_full(const Graph& graph, const Node& node) {
  if (!std::holds_alternative<FullAttr>(node.attrs))
    return node_error(graph, node, "full needs a value");
  return node.shape;
}

HostValue eval_full(const Node& node, std::span<const HostValue* const>) {
  return {node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()),
                                          std::get<FullAttr>(node.attrs).value)};
}

Result<Shape> infer_iota(const Graph& graph, const Node& node) {
  const auto* attr = std::get_if<AxesAttr>(&node.attrs);
  if (!attr || attr->axes.size() != 1 || attr->axes[0] < 0 || attr->axes[0] >= node.shape.rank())
    return node_error(graph, node, "iota needs one axis inside {}", node.shape.to_string());
  if (node.dtype != DType::kU32 && node.dtype != DType::kI32 && node.dtype != DType::kF32)
    return node_error(graph, node, "iota is u32, i32 or f32, found {}", dtype_name(node.dtype));
  return node.shape;
}

HostValue eval_iota(const Node& node, std::span<const HostValue* const>) {
  HostValue out{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()))};
  std::vector<int64_t> strides(static_cast<size_t>(node.shape.rank()), 0);
  strides[static_cast<size_t>(std::get<AxesAttr>(node.attrs).axes[0])] = 1;
  walk(node.shape, 0, strides,
       [&](int64_t i, int64_t index) { out.data[size_t(i)] = static_cast<double>(index); });
  return out;
}

constexpr OpDef kLeafOps[] = {
    {.op = Op::kInput, .name = "input", .infer = infer_input, .differentiable = false},
    {.op = Op::kConstant,
     .name = "constant",
     .infer = infer_constant,
     .eval = eval_constant,
     .differentiable = false},
    {.op = Op::kFull,
     .name = "full",
     .infer = infer_full,
     .eval = eval_full,
     .differentiable = false},
    {.op = Op::kIota,
     .name = "iota",
     .infer = infer_iota,
     .eval = eval_iota,
     .differentiable = false},
};

}  // namespace

std::span<const OpDef> leaf_ops() { return kLeafOps; }

}  // namespace ito
