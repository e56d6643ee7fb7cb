// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter
// based generator; word `lane` of the block that counter and key give.
#include <array>

#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

constexpr int kRounds = 10;
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

uint32_t philox_word(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k, uint32_t lane) {
  for (int round = 0; round < kRounds; ++round) {
    uint64_t p0 = uint64_t{kMultiplier0} * c[0];
    uint64_t p1 = uint64_t{kMultiplier1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + kWeyl0, k[1] + kWeyl1};
  }
  return c[lane & 3];
}

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
    out.data[i] = philox_word({word(0), word(1), word(2), word(3)}, {word(4), word(5)}, word(6));
  }
  return out;
}

constexpr OpDef kRows[] = {{.op = Op::kPhilox,
                            .name = "philox",
                            .op_class = OpClass::kElementwise,
                            .arity = 7,
                            .infer = infer_philox,
                            .eval = eval_philox,
                            .differentiable = false,
                            .glsl = "ito_philox($0, $1, $2, $3, $4, $5, $6)",
                            .cost = 100}};

}  // namespace

std::span<const OpDef> philox_ops() { return kRows; }

}  // namespace ito
