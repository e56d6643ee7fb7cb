// Rows chosen by an index that is data: gather and its adjoint scatter_add. Both clamp an index to
// the rows there are, so that they stay adjoint for every index.
#include <algorithm>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;
using Grads = std::vector<Tensor>;

Status check_index(const Graph& graph, const Node& node) {
  const Node& index = operand(graph, node, 1);
  if (index.shape.rank() != 1 || (index.dtype != DType::kU32 && index.dtype != DType::kI32))
    return node_error(graph, node, "the index must be u32 or i32 of one axis");
  if (operand(graph, node, 0).dtype != node.dtype)
    return node_error(graph, node, "result must be of the operand's dtype");
  if (operand(graph, node, 0).shape.rank() < 1)
    return node_error(graph, node, "the operand needs a first axis");
  return {};
}

int64_t clamp_row(double index, int64_t rows) {
  return std::clamp<int64_t>(static_cast<int64_t>(index), 0, rows - 1);
}

Result<Shape> infer_gather(const Graph& graph, const Node& node) {
  ITO_TRY(check_index(graph, node));
  Shape shape = operand(graph, node, 0).shape;
  shape[0] = operand(graph, node, 1).shape[0];
  return shape;
}

HostValue eval_gather(const Node& node, std::span<const HostValue* const> in) {
  const int64_t rows = in[0]->shape[0];
  const int64_t width = in[0]->shape.numel() / rows;
  HostValue out{node.shape, {}};
  for (double index : in[1]->data) {
    auto begin = in[0]->data.begin() + clamp_row(index, rows) * width;
    out.data.insert(out.data.end(), begin, begin + width);
  }
  return out;
}

Grads grad_gather(Tensor, Inputs x, Tensor dy) {
  return {scatter_add(dy, x[1], x[0].dim(0)), Tensor()};
}

Result<Shape> infer_scatter_add(const Graph& graph, const Node& node) {
  ITO_TRY(check_index(graph, node));
  Shape shape = operand(graph, node, 0).shape;
  if (shape[0] != operand(graph, node, 1).shape[0])
    return node_error(graph, node, "needs one index per row of updates");
  if (node.dtype == DType::kBool) return node_error(graph, node, "not defined for bool");
  if (node.shape.rank() != shape.rank())
    return node_error(graph, node, "result {} has another rank", node.shape.to_string());
  shape[0] = node.shape[0];
  return shape;
}

HostValue eval_scatter_add(const Node& node, std::span<const HostValue* const> in) {
  const int64_t rows = node.shape[0];
  const int64_t width = node.shape.numel() / rows;
  HostValue out{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()), 0)};
  for (size_t j = 0; j < in[1]->data.size(); ++j) {
    int64_t row = clamp_row(in[1]->data[j], rows);
    for (int64_t i = 0; i < width; ++i)
      out.data[size_t(row * width + i)] += in[0]->data[j * size_t(width) + size_t(i)];
  }
  return out;
}

Grads grad_scatter_add(Tensor, Inputs x, Tensor dy) { return {gather(dy, x[1]), Tensor()}; }

constexpr OpDef kIndexedOps[] = {
    {.op = Op::kGather,
     .name = "gather",
     .op_class = OpClass::kIndexed,
     .arity = 2,
     .infer = infer_gather,
     .eval = eval_gather,
     .grad = grad_gather},
    {.op = Op::kScatterAdd,
     .name = "scatter_add",
     .op_class = OpClass::kIndexed,
     .arity = 2,
     .infer = infer_scatter_add,
     .eval = eval_scatter_add,
     .grad = grad_scatter_add},
};

}  // namespace

std::span<const OpDef> indexed_ops() { return kIndexedOps; }

}  // namespace ito
