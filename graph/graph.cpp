#include "graph/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "graph/ops/support.h"
#include "graph/simplify.h"

namespace ito {
namespace {

bool is_commutative(Op op) {
  switch (op) {
    case Op::kAdd:
    case Op::kMul:
    case Op::kMax:
    case Op::kMin:
    case Op::kEqual:
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
      return true;
    default:
      return false;
  }
}

uint64_t hash_node(const Node& node) {
  uint64_t h = hash_bytes(attrs_to_string(node.attrs));
  h = hash_combine(h, static_cast<uint64_t>(node.op) << 8 | static_cast<uint64_t>(node.dtype));
  for (int64_t d : node.shape.dims()) h = hash_combine(h, static_cast<uint64_t>(d));
  for (NodeId id : node.inputs) h = hash_combine(h, id);
  return h;
}

bool same_value(const Node& a, const Node& b) {
  return a.op == b.op && a.dtype == b.dtype && a.shape == b.shape && a.inputs == b.inputs &&
         a.attrs == b.attrs;
}

}  // namespace

Tensor Graph::add(Op op, DType dtype, Shape shape, std::span<const Tensor> inputs, Attrs attrs) {
  for (Tensor x : inputs)
    CHECK(x && &x.graph() == this,
          fmt::format("{}: an operand is empty or of another graph", op_def(op).name));
  for (int64_t d : shape.dims())
    CHECK(d > 0, fmt::format("{}: empty shape {}", op_def(op).name, shape.to_string()));

  Node node{op, dtype, std::move(shape), {}, std::move(attrs), label_};
  for (Tensor x : inputs) node.inputs.push_back(x.id());
  const OpDef& def = op_def(op);
  CHECK(def.arity < 0 || static_cast<size_t>(def.arity) == inputs.size(),
        node_error(*this, node, "expected {} operands", def.arity).message);
  Result<Shape> inferred = def.infer(*this, node);
  CHECK(inferred.ok(), inferred.error().message);
  CHECK(*inferred == node.shape, node_error(*this, node, "the result is {}, not {}",
                                            inferred->to_string(), node.shape.to_string())
                                     .message);

  if (Tensor simpler = simplify(*this, op, dtype, node.shape, inputs, node.attrs)) return simpler;

  if (is_commutative(op)) std::sort(node.inputs.begin(), node.inputs.end());
  const uint64_t hash = hash_node(node);
  auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (same_value(nodes_[it->second], node)) return Tensor(this, it->second);
  const NodeId id = size();
  nodes_.push_back(std::move(node));
  by_hash_.emplace(hash, id);
  return Tensor(this, id);
}

LabelScope::LabelScope(Graph& graph, std::string_view name) : graph_(graph), saved_(graph.label()) {
  graph.set_label(saved_.empty() ? std::string(name) : fmt::format("{}.{}", saved_, name));
}

LabelScope::~LabelScope() { graph_.set_label(saved_); }

}  // namespace ito
