// Reductions over axes that are kept with extent 1.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/integers.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;
using Grads = std::vector<Tensor>;

Result<Shape> infer_reduce(const Graph& graph, const Node& node) {
  const Node& x = operand(graph, node, 0);
  const auto* attr = std::get_if<AxesAttr>(&node.attrs);
  if (!attr || !std::is_sorted(attr->axes.begin(), attr->axes.end()) ||
      std::adjacent_find(attr->axes.begin(), attr->axes.end()) != attr->axes.end())
    return node_error(graph, node, "axes must be sorted and distinct, found {}",
                      attrs_to_string(node.attrs));
  for (int64_t axis : attr->axes)
    if (axis < 0 || axis >= x.shape.rank()) return node_error(graph, node, "no axis {}", axis);
  if (x.dtype != node.dtype || x.dtype == DType::kBool)
    return node_error(graph, node, "needs numbers of the result's dtype");
  return reduced_shape(x.shape, attr->axes);
}

template <typename Fn>
HostValue fold(const Node& node, const HostValue& x, double start, Fn fn) {
  HostValue out{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()), start)};
  walk(x.shape, 0, broadcast_strides(node.shape, x.shape), [&](int64_t i, int64_t to) {
    double& v = out.data[size_t(to)];
    v = fn(v, x.data[size_t(i)]);
  });
  return out;
}

HostValue eval_sum(const Node& node, std::span<const HostValue* const> in) {
  HostValue out = fold(node, *in[0], 0, [](double a, double b) { return a + b; });
  if (!is_float(node.dtype))
    for (double& v : out.data) v = wrap_to(node.dtype, static_cast<int64_t>(v));
  return out;
}

HostValue eval_max(const Node& node, std::span<const HostValue* const> in) {
  return fold(node, *in[0], -std::numeric_limits<double>::infinity(),
              [](double a, double b) { return a < b || std::isnan(b) ? b : a; });
}

Grads grad_sum(Tensor, Inputs x, Tensor dy) { return {broadcast_to(dy, x[0].shape())}; }

// Ties share evenly, as in PyTorch's amax.
Grads grad_reduce_max(Tensor y, Inputs x, Tensor dy) {
  const std::vector<int64_t>& axes = std::get<AxesAttr>(y.node().attrs).axes;
  Tensor hit = cast(equal(x[0], broadcast_to(y, x[0].shape())), dy.dtype());
  return {hit * (dy / sum(hit, axes, true))};
}

constexpr OpDef kReduceOps[] = {
    {.op = Op::kReduceSum,
     .name = "reduce_sum",
     .op_class = OpClass::kReduce,
     .arity = 1,
     .infer = infer_reduce,
     .eval = eval_sum,
     .grad = grad_sum},
    {.op = Op::kReduceMax,
     .name = "reduce_max",
     .op_class = OpClass::kReduce,
     .arity = 1,
     .infer = infer_reduce,
     .eval = eval_max,
     .grad = grad_reduce_max},
};

}  // namespace

std::span<const OpDef> reduce_ops() { return kReduceOps; }

}  // namespace ito
