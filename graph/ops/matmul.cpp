// Batched matrix product: [b..., m, k] x [b..., k, n] after the transposes.
#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

struct Extents {
  int64_t batch, m, n, k;
};

Extents extents_of(const Shape& a, const Shape& b, const MatmulAttr& attr) {
  int64_t m = attr.transpose_a ? a[-1] : a[-2];
  int64_t k = attr.transpose_a ? a[-2] : a[-1];
  int64_t n = attr.transpose_b ? b[-2] : b[-1];
  return {a.numel() / (m * k), m, n, k};
}

Result<Shape> infer_matmul(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  const auto* attr = std::get_if<MatmulAttr>(&node.attrs);
  if (!attr) return node_error(graph, node, "needs its transposes");
  const Shape& a = operand(graph, node, 0).shape;
  const Shape& b = operand(graph, node, 1).shape;
  if (a.rank() < 2 || a.rank() != b.rank())
    return node_error(graph, node, "operands must have one rank, at least 2");
  for (int i = 0; i + 2 < a.rank(); ++i)
    if (a[i] != b[i]) return node_error(graph, node, "batch axis {} differs", i);
  Extents e = extents_of(a, b, *attr);
  if (e.k != (attr->transpose_b ? b[-1] : b[-2]))
    return node_error(graph, node, "inner extents differ{}", attrs_to_string(node.attrs));
  Shape shape = a;
  shape[-2] = e.m;
  shape[-1] = e.n;
  return shape;
}

HostValue eval_matmul(const Node& node, std::span<const HostValue* const> in) {
  const MatmulAttr& attr = std::get<MatmulAttr>(node.attrs);
  const Extents e = extents_of(in[0]->shape, in[1]->shape, attr);
  const int64_t a_m = attr.transpose_a ? 1 : e.k, a_k = attr.transpose_a ? e.m : 1;
  const int64_t b_k = attr.transpose_b ? 1 : e.n, b_n = attr.transpose_b ? e.k : 1;
  HostValue out{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()))};
  std::vector<double> buffers[2];
  const double* all_a = factor(*in[0], attr.multiply, buffers[0]).data();
  const double* all_b = factor(*in[1], attr.multiply, buffers[1]).data();
  for (int64_t batch = 0; batch < e.batch; ++batch) {
    const double* a = all_a + batch * e.m * e.k;
    const double* b = all_b + batch * e.k * e.n;
    double* y = out.data.data() + batch * e.m * e.n;
    for (int64_t i = 0; i < e.m; ++i)
      for (int64_t j = 0; j < e.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < e.k; ++k) sum += a[i * a_m + k * a_k] * b[k * b_k + j * b_n];
        y[i * e.n + j] = sum;
      }
  }
  return out;
}

// y = A B with A = a or a^T: dA = dy B^T, dB = A^T dy, each transposed back without a copy.
std::vector<Tensor> grad_matmul(Tensor y, std::span<const Tensor> x, Tensor dy) {
  const MatmulAttr& attr = std::get<MatmulAttr>(y.node().attrs);
  const bool ta = attr.transpose_a, tb = attr.transpose_b;
  Tensor da = ta ? matmul(x[1], dy, tb, true) : matmul(dy, x[1], false, !tb);
  Tensor db = tb ? matmul(dy, x[0], true, ta) : matmul(x[0], dy, !ta, false);
  return {da, db};
}

constexpr OpDef kMatmulOps[] = {{.op = Op::kMatmul,
                                 .name = "matmul",
                                 .op_class = OpClass::kContraction,
                                 .arity = 2,
                                 .infer = infer_matmul,
                                 .eval = eval_matmul,
                                 .grad = grad_matmul}};

}  // namespace

std::span<const OpDef> matmul_ops() { return kMatmulOps; }

}  // namespace ito
