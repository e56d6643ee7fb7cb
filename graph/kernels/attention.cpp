#include "graph/kernels/attention.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/integer.h"
#include "graph/passes/view.h"

namespace ito {
namespace {

// Turns the nodes of one kernel into a walk, taking arguments from the writer.
class WalkBuilder {
 public:
  WalkBuilder(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
              KernelWriter& writer)
      : graph_(graph), kernel_(kernel), storage_(storage), writer_(writer) {}

  AttentionWalk build() {
    const Node& first = graph_.node(kernel_.stores[0]);
    const auto& attr = std::get<AttentionAttr>(first.attrs);
    const Shape& q = graph_.node(first.inputs[0]).shape;
    const Shape& k = graph_.node(first.inputs[1]).shape;
    walk_.batch = q[0];
    walk_.heads = attr.heads;
    walk_.rows = q[1];
    walk_.columns = k[1];
    walk_.d = q[2] / attr.heads;
    walk_.scale = attr.scale;
    for (NodeId id : kernel_.stores) add(id);
    return std::move(walk_);
  }

 private:
  void add(NodeId id) {
    const Node& node = graph_.node(id);
    const auto& in = node.inputs;
    switch (node.op) {
      case Op::kAttention:
        scores(in[0], in[1]);
        walk_.online = true;
        walk_.sums.push_back({false, operand(in[2]), output(id)});
        break;
      case Op::kAttentionLse:
        scores(in[0], in[1]);
        walk_.online = true;
        walk_.lse_out = output(id);
        break;
      case Op::kAttentionGradQ:
        scores(in[0], in[1]);
        score_gradient(in, operand(in[3]), operand(in[2]));
        walk_.sums.push_back({true, operand(in[1]), output(id)});
        break;
      case Op::kAttentionGradK:
        rows_are_keys();
        scores(in[1], in[0]);
        score_gradient(in, operand(in[2]), operand(in[3]));
        walk_.sums.push_back({true, operand(in[0]), output(id)});
        break;
      case Op::kAttentionGradV:
        rows_are_keys();
        scores(in[1], in[0]);
        walk_.lse = statistic(in[3]);
        walk_.sums.push_back({false, operand(in[2]), output(id)});
        break;
      default:
        CHECK(false, fmt::format("{} is no attention", op_def(node.op).name));
    }
  }

  void rows_are_keys() {
    if (walk_.rows_are_queries) std::swap(walk_.rows, walk_.columns);
    walk_.rows_are_queries = false;
  }

  void scores(NodeId row, NodeId column) {
    if (walk_.products.empty()) walk_.products.push_back({operand(row), operand(column)});
  }

  void score_gradient(const std::vector<NodeId>& in, AttentionWalk::Operand row,
                      AttentionWalk::Operand column) {
    walk_.lse = statistic(in[4]);
    walk_.delta = statistic(in[5]);
    walk_.products.push_back({std::move(row), std::move(column)});
  }

  AttentionWalk::Statistic statistic(NodeId id) {
    const AttentionWalk::Operand view = operand(id);
    return {view.argument, view.batch, view.token, view.channel};
  }

  std::string output(NodeId id) {
    return writer_.argument(storage_.argument_key(id, 0), DType::kF32, false, /*written=*/true);
  }

  AttentionWalk::Operand operand(NodeId id) {
    AffineView view = view_of(graph_, id, storage_.stored);
    CHECK(storage_.stored(view.base), "an operand of attention is not stored");
    // Offsets go into the addresses, so that equal layers share one kernel.
    std::string name = writer_.argument(storage_.argument_key(view.base, view.offset), DType::kF32,
                                        /*read=*/true, false);
    return {name, view.strides[0], view.strides[1], view.strides[2]};
  }

  const Graph& graph_;
  const FusedKernel& kernel_;
  const StorageMap& storage_;
  KernelWriter& writer_;
  AttentionWalk walk_;
};

}  // namespace

bool is_attention(Op op) {
  return op == Op::kAttention || op == Op::kAttentionLse || op == Op::kAttentionGradQ ||
         op == Op::kAttentionGradK || op == Op::kAttentionGradV;
}

bool attention_has_kernel(const Graph& graph, const Node& node) {
  const int64_t channels = graph.node(node.inputs[0]).shape[2];
  const int64_t d = channels / std::get<AttentionAttr>(node.attrs).heads;
  return node.dtype == DType::kF32 && d <= kMaxAttentionHeadDim;
}

bool attention_shares_walk(const Node& a, const Node& b) {
  if (a.inputs[0] != b.inputs[0] || a.inputs[1] != b.inputs[1] || a.attrs != b.attrs) return false;
  auto are = [&](Op x, Op y) { return (a.op == x && b.op == y) || (a.op == y && b.op == x); };
  if (are(Op::kAttention, Op::kAttentionLse)) return true;
  if (!are(Op::kAttentionGradK, Op::kAttentionGradV)) return false;
  const Node& k = a.op == Op::kAttentionGradK ? a : b;
  const Node& v = a.op == Op::kAttentionGradK ? b : a;
  return k.inputs[3] == v.inputs[2] && k.inputs[4] == v.inputs[3];
}

NodeId attention_operand_base(const Graph& graph, NodeId operand) {
  return view_of(
             graph, operand,
             [&](NodeId id) { return op_def(graph.node(id).op).op_class != OpClass::kMovement; })
      .base;
}

std::array<uint32_t, 3> attention_groups(int64_t tiles, const DeviceCaps& caps) {
  if (tiles <= caps.max_groups_x) return {static_cast<uint32_t>(tiles), 1, 1};
  const int64_t y = ceil_div(tiles, caps.max_groups_x);
  return {static_cast<uint32_t>(ceil_div(tiles, y)), static_cast<uint32_t>(y), 1};
}

EmittedKernel emit_attention(const Graph& graph, const FusedKernel& kernel,
                             const StorageMap& storage, const DeviceCaps& caps) {
  KernelWriter writer;
  const AttentionWalk walk = WalkBuilder(graph, kernel, storage, writer).build();
  EmittedKernel result = caps.is_cpu ? emit_attention_lanes(writer, walk, caps)
                                     : emit_attention_shared(writer, walk, caps);
  result.writer = std::move(writer);
  return result;
}

}  // namespace ito
