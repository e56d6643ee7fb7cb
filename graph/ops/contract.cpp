// The affine contraction that every matmul and convolution becomes (ContractAttr). Introduced by
// passes/lower after differentiation, hence without gradient.
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

// Largest address of an operand; strides are not negative.
int64_t reach(const ContractAttr& attr, int64_t offset, int64_t ContractAttr::Dim::*stride) {
  for (const ContractAttr::Dim& dim : attr.dims) offset += (dim.size - 1) * (dim.*stride);
  return offset;
}

Result<Shape> infer_contract(const Graph& graph, const Node& node) {
  const auto* attr = std::get_if<ContractAttr>(&node.attrs);
  if (!attr) return node_error(graph, node, "needs its dims");
  int64_t outputs = 1;
  for (const ContractAttr::Dim& dim : attr->dims) {
    if (dim.size < 1) return node_error(graph, node, "a dim of size {}", dim.size);
    if (dim.a < 0 || dim.b < 0 || dim.out < 0)
      return node_error(graph, node, "a dim of strides {}, {}, {}; kernels take none below 0",
                        dim.a, dim.b, dim.out);
    if (!dim.reduced()) outputs *= dim.size;
  }
  const int64_t a = reach(*attr, attr->a_offset, &ContractAttr::Dim::a);
  const int64_t b = reach(*attr, attr->b_offset, &ContractAttr::Dim::b);
  const int64_t out = reach(*attr, 0, &ContractAttr::Dim::out);
  if (attr->a_offset < 0 || a >= operand(graph, node, 0).shape.numel() || attr->b_offset < 0 ||
      b >= operand(graph, node, 1).shape.numel())
    return node_error(graph, node, "addresses {}..{} and {}..{} leave the operands", attr->a_offset,
                      a, attr->b_offset, b);
  if (outputs != node.shape.numel() || out >= outputs)
    return node_error(graph, node, "{} outputs do not fill the result {}", outputs,
                      node.shape.to_string());
  return node.shape;
}

HostValue eval_contract(const Node& node, std::span<const HostValue* const> in) {
  const ContractAttr& attr = std::get<ContractAttr>(node.attrs);
  HostValue y{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()), 0)};
  std::vector<int64_t> index(attr.dims.size(), 0);
  std::vector<double> buffers[2];
  const std::vector<double>& x = factor(*in[0], attr.multiply, buffers[0]);
  const std::vector<double>& w = factor(*in[1], attr.multiply, buffers[1]);
  int64_t a = attr.a_offset, b = attr.b_offset, out = 0;
  while (true) {
    y.data[size_t(out)] += x[size_t(a)] * w[size_t(b)];
    size_t i = attr.dims.size();
    while (i > 0) {
      const ContractAttr::Dim& dim = attr.dims[--i];
      a += dim.a, b += dim.b, out += dim.out;
      if (++index[i] < dim.size) break;
      a -= dim.a * dim.size, b -= dim.b * dim.size, out -= dim.out * dim.size;
      index[i] = 0;
      if (i == 0) return y;
    }
    if (attr.dims.empty()) return y;
  }
}

constexpr OpDef kContractOps[] = {{.op = Op::kContract,
                                   .name = "contract",
                                   .op_class = OpClass::kContraction,
                                   .arity = 2,
                                   .infer = infer_contract,
                                   .eval = eval_contract,
                                   .differentiable = false}};

}  // namespace

std::span<const OpDef> contract_ops() { return kContractOps; }

}  // namespace ito
