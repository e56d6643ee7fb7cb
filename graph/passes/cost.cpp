#include "graph/passes/cost.h"

#include <algorithm>
#include <set>

#include "graph/kernels/attention.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

// Of operand A (0) or B (1), those that a contraction can see: of all the weights its own, where
// they are a slice of one tensor.
int64_t operand_elements(const ContractAttr& attr, size_t operand) {
  int64_t count = 1;
  for (const ContractAttr::Dim& dim : attr.dims)
    if ((operand == 0 ? dim.a : dim.b) != 0) count *= dim.size;
  return count;
}

// Tiles that overlap count what they share once for each.
int64_t operand_elements(const TileTransformAttr& attr) {
  int64_t count = attr.taps * attr.taps;
  for (const TileTransformAttr::Dim& dim : attr.dims)
    if (dim.in != 0) count *= dim.size;
  return count;
}

// Of attention: the pairs of queries and keys whose scores are there.
using Scores = std::set<std::pair<NodeId, NodeId>>;

// Two for every multiplication of the products; ops of one kernel share the scores.
uint64_t attention_flops(const Graph& graph, const Node& node, Scores& scores) {
  const Shape& q = graph.node(node.inputs[0]).shape;
  const Shape& k = graph.node(node.inputs[1]).shape;
  const bool shared = !scores.insert({node.inputs[0], node.inputs[1]}).second;
  const bool of_scores = node.op == Op::kAttentionGradQ || node.op == Op::kAttentionGradK;
  const int products =
      (shared ? 0 : 1) + (node.op == Op::kAttentionLse ? 0 : 1) + (of_scores ? 1 : 0);
  return 2 * static_cast<uint64_t>(products * q.numel() * k[1]);
}

// Multiplications of a matrix product or of a direction of a convolution.
int64_t multiplications(const Graph& graph, const Node& node) {
  const Shape& a = graph.node(node.inputs[0]).shape;
  const Shape& b = graph.node(node.inputs[1]).shape;
  switch (node.op) {
    case Op::kMatmul:
      return node.shape.numel() * a[std::get<MatmulAttr>(node.attrs).transpose_a ? -2 : -1];
    case Op::kConv2d:
      return node.shape.numel() * b[0] * b[1] * b[2];
    case Op::kConv2dGradInput:
      return a.numel() * b[0] * b[1] * b[2];
    case Op::kConv2dGradWeight:
      return b.numel() * node.shape[0] * node.shape[1] * node.shape[2];
    default:
      return 0;
  }
}

// Elements of a stored operand that a user can see: slices see less than all.
class LoadCounter {
 public:
  LoadCounter(const Graph& graph, const std::vector<bool>& stored)
      : graph_(graph), stored_(stored) {}

  void visit(NodeId id, int64_t visible) {
    const Node& node = graph_.node(id);
    visible = std::min(visible, node.shape.numel());
    if (stored_[id]) {
      int64_t& seen = seen_[id];
      seen = std::max(seen, visible);
      return;
    }
    int64_t& known = visited_[id];
    if (known >= visible) return;
    known = visible;
    if (op_def(node.op).op_class == OpClass::kElementwise) flops_ += static_cast<uint64_t>(visible);
    if (node.op == Op::kContract) {
      uint64_t product = 2;
      for (const auto& dim : std::get<ContractAttr>(node.attrs).dims)
        product *= static_cast<uint64_t>(dim.size);
      flops_ += product;
    }
    if (node.op == Op::kTileTransform) {
      const auto& attr = std::get<TileTransformAttr>(node.attrs);
      flops_ += static_cast<uint64_t>(node.shape.numel() / attr.rows * attr.taps *
                                      (attr.rows + attr.taps) / attr.rows) *
                2;
    }
    if (is_attention(node.op)) flops_ += attention_flops(graph_, node, scores_);
    bool slices = op_def(node.op).op_class == OpClass::kMovement || node.op == Op::kGather;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const NodeId input = node.inputs[i];
      int64_t n = graph_.node(input).shape.numel();
      if (op_def(node.op).op_class == OpClass::kReduce) flops_ += static_cast<uint64_t>(n);
      if (node.op == Op::kContract)
        n = std::min(n, operand_elements(std::get<ContractAttr>(node.attrs), i));
      if (node.op == Op::kTileTransform)
        n = std::min(n, operand_elements(std::get<TileTransformAttr>(node.attrs)));
      visit(input, slices ? std::min(n, visible) : n);
    }
  }

  uint64_t flops() const { return flops_; }
  uint64_t bytes() const {
    uint64_t total = 0;
    for (const auto& [id, elements] : seen_)
      total += static_cast<uint64_t>(elements) * dtype_size(graph_.node(id).dtype);
    return total;
  }

 private:
  const Graph& graph_;
  const std::vector<bool>& stored_;
  Scores scores_;
  std::map<NodeId, int64_t> seen_, visited_;
  uint64_t flops_ = 0;
};

}  // namespace

KernelCost kernel_cost(const Graph& graph, const FusedKernel& kernel,
                       const std::vector<bool>& stored) {
  std::vector<bool> outside = stored;
  for (NodeId id : kernel.stores) outside[id] = false;
  LoadCounter counter(graph, outside);
  KernelCost cost;
  for (NodeId id : kernel.stores) {
    counter.visit(id, graph.node(id).shape.numel());
    cost.bytes_written += bytes_of(graph.node(id));
  }
  cost.flops = counter.flops();
  cost.bytes_read = counter.bytes();
  return cost;
}

uint64_t ideal_bytes(const Program& program) {
  std::vector<bool> live = live_nodes(program);
  uint64_t total = 0;
  for (NodeId id = 0; id < program.graph->size(); ++id) {
    const Node& node = program.graph->node(id);
    bool free = op_def(node.op).op_class == OpClass::kMovement || node.op == Op::kFull ||
                node.op == Op::kIota || node.op == Op::kConstant;
    if (live[id] && !free) total += bytes_of(node);
  }
  return total;
}

uint64_t ideal_flops(const Program& program) {
  const Graph& graph = *program.graph;
  const std::vector<bool> live = live_nodes(program);
  Scores scores;
  uint64_t total = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!live[id]) continue;
    const OpClass c = op_def(node.op).op_class;
    if (is_attention(node.op)) total += attention_flops(graph, node, scores);
    if (c == OpClass::kContraction)
      total += 2 * static_cast<uint64_t>(multiplications(graph, node));
    if (c == OpClass::kElementwise) total += static_cast<uint64_t>(node.shape.numel());
    if (c == OpClass::kReduce)
      total += static_cast<uint64_t>(graph.node(node.inputs[0]).shape.numel());
  }
  return total;
}

}  // namespace ito
