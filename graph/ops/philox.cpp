// The op of base/philox.h's generator: word `lane` of the block that counter and key give.
#include "base/philox.h"

#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

Result<Shape> infer_philox(const Graph& graph, const Node& node) {
  const Shape& shape = operand(graph, node, 0).shape;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Node& x = operand(graph, node, i);
    if (x.shape != shape || x.dtype != DType::kU32)
      return node_error(graph, node, "every operand must be u32 of one shape");
  }
  if (node.dtype != DType::kU32) return node_error(graph, node, "the result is u32");
  return shape;
}

HostValue eval_philox(const Node& node, std::span<const HostValue* const> in) {
  HostValue out{node.shape, in[0]->data};
  out.shape = in[0]->shape;
  for (size_t i = 0; i < out.data.size(); ++i) {
    auto word = [&](size_t k) { return static_cast<uint32_t>(in[k]->data[i]); };
    const auto block = philox4x32_10({word(0), word(1), word(2), word(3)}, {word(4), word(5)});
    out.data[i] = block[word(6) & 3];
  }
  return out;
}

constexpr OpDef kPhiloxOps[] = {{.op = Op::kPhilox,
                                 .name = "philox",
                                 .op_class = OpClass::kElementwise,
                                 .arity = 7,
                                 .infer = infer_philox,
                                 .eval = eval_philox,
                                 .differentiable = false,
                                 .glsl = "ito_philox($0, $1, $2, $3, $4, $5, $6)",
                                 .cost = 100}};

}  // namespace

std::span<const OpDef> philox_ops() { return kPhiloxOps; }

}  // namespace ito
