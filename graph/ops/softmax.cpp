// Softmax over the last axis.
#include <algorithm>
#include <cmath>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;

Result<Shape> infer_softmax(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  const Shape& x = operand(graph, node, 0).shape;
  if (x.rank() < 1) return node_error(graph, node, "the operand needs a last axis");
  return x;
}

HostValue eval_softmax(const Node& node, std::span<const HostValue* const> in) {
  HostValue y{node.shape, in[0]->data};
  const size_t width = static_cast<size_t>(node.shape[-1]);
  for (size_t row = 0; row < y.data.size(); row += width) {
    std::span<double> v(y.data.data() + row, width);
    const double top = *std::max_element(v.begin(), v.end());
    double total = 0;
    for (double& e : v) total += e = std::exp(e - top);
    for (double& e : v) e /= total;
  }
  return y;
}

// The subtracted maximum cancels in the value, so no gradient passes through it.
Tensor decompose_softmax(Tensor, Inputs x) {
  const std::vector<int64_t> last = {x[0].rank() - 1};
  Tensor e = exp(x[0] - stop_gradient(max(x[0], last, true)));
  return e / sum(e, last, true);
}

// dx = y (dy - sum(dy y))
std::vector<Tensor> grad_softmax(Tensor y, Inputs, Tensor dy) {
  return {y * (dy - sum(dy * y, {y.rank() - 1}, true))};
}

constexpr OpDef kSoftmaxOps[] = {{.op = Op::kSoftmax,
                                  .name = "softmax",
                                  .op_class = OpClass::kComposite,
                                  .arity = 1,
                                  .infer = infer_softmax,
                                  .eval = eval_softmax,
                                  .grad = grad_softmax,
                                  .decompose = decompose_softmax}};

}  // namespace

std::span<const OpDef> softmax_ops() { return kSoftmaxOps; }

}  // namespace ito
