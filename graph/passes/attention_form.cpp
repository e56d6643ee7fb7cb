#include "graph/passes/attention_form.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "graph/kernels/attention.h"
#include "graph/passes/rewrite.h"
#include "graph/passes/view.h"

namespace ito {
namespace {

// From these numbers of scores per image on, the kernel is at least as fast as the decomposition:
// see docs/decisions/0006-attention.md. Gradients recompute the scores, which costs more arithmetic
// than reading them back while they fit into a cache. The batch does not count: an image's result
// must not depend on how many others are computed with it.
constexpr int64_t kMinScores = int64_t{1} << 12;
constexpr int64_t kMinScoresWithGradients = int64_t{1} << 16;

// A tensor of [batch, heads, tokens, d], or one of [batch, tokens, heads * d] split into heads, as
// the addresses of its elements.
using Address = std::tuple<NodeId, int64_t, std::vector<int64_t>>;

AffineView view_behind_movement(const Graph& graph, NodeId id) {
  return view_of(graph, id,
                 [&](NodeId n) { return op_def(graph.node(n).op).op_class != OpClass::kMovement; });
}

Address address(const AffineView& view, const Shape& shape, std::vector<int64_t> strides) {
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] == 1) strides[static_cast<size_t>(i)] = 0;
  return {view.base, view.offset, std::move(strides)};
}

Address address_of_heads(const Graph& graph, NodeId id, int64_t heads) {
  const AffineView view = view_behind_movement(graph, id);
  const Shape& shape = graph.node(id).shape;
  const int64_t d = shape[2] / heads;
  return address(view, {shape[0], heads, shape[1], d},
                 {view.strides[0], d * view.strides[2], view.strides[1], view.strides[2]});
}

class Chooser {
 public:
  Chooser(const Program& program, const DeviceCaps& caps)
      : graph_(*program.graph), caps_(caps), live_(live_nodes(program)) {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      const Node& node = graph_.node(id);
      if (!live_[id]) continue;
      if (node.op == Op::kAttentionGradQ || node.op == Op::kAttentionGradK ||
          node.op == Op::kAttentionGradV)
        differentiated_.insert({node.inputs[0], node.inputs[1]});
      if (node.op == Op::kMatmul && node.shape.rank() == 4 &&
          std::get<MatmulAttr>(node.attrs).transpose_b) {
        const NodeId a = node.inputs[0], b = node.inputs[1];
        const AffineView va = view_behind_movement(graph_, a), vb = view_behind_movement(graph_, b);
        products_.insert({address(va, graph_.node(a).shape, va.strides),
                          address(vb, graph_.node(b).shape, vb.strides)});
      }
    }
  }

  bool live(NodeId id) const { return live_[id]; }

  // All ops on the same queries and keys get the same answer.
  bool kernel_is_better(const Node& node) const {
    const NodeId q = node.inputs[0], k = node.inputs[1];
    const int64_t heads = std::get<AttentionAttr>(node.attrs).heads;
    if (products_.contains(
            {address_of_heads(graph_, q, heads), address_of_heads(graph_, k, heads)}))
      return false;
    const Shape& rows = graph_.node(q).shape;
    const Shape& columns = graph_.node(k).shape;
    const bool with_gradients = differentiated_.contains({q, k});
    // A lane per row: lanes without one are wasted.
    const int64_t shortest = with_gradients ? std::min(rows[1], columns[1]) : rows[1];
    if (caps_.is_cpu && shortest < caps_.subgroup_size) return false;
    const int64_t scores = heads * rows[1] * columns[1];
    return scores >= (with_gradients ? kMinScoresWithGradients : kMinScores);
  }

 private:
  const Graph& graph_;
  const DeviceCaps& caps_;
  std::vector<bool> live_;
  std::set<std::pair<NodeId, NodeId>> differentiated_;  // (q, k)
  std::set<std::pair<Address, Address>> products_;      // scores that are computed anyway
};

}  // namespace

std::vector<bool> attention_with_kernels(const Program& program, const DeviceCaps& caps,
                                         AttentionForm form) {
  const Graph& graph = *program.graph;
  std::vector<bool> kept(graph.size(), false);
  if (form == AttentionForm::kDecomposed) return kept;
  const Chooser chooser(program, caps);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!chooser.live(id) || !is_attention(node.op) || !attention_has_kernel(graph, node)) continue;
    kept[id] = form == AttentionForm::kKernel || chooser.kernel_is_better(node);
  }
  return kept;
}

}  // namespace ito
