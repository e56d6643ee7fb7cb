#include "graph/passes/own_sums.h"

#include <optional>
#include <set>
#include <utility>

#include "graph/passes/view.h"

namespace ito {
namespace {

// An index along an axis as a function of the place t = matrix * columns + column of the element
// that is wanted: (t / stride) % size, size being the axis's. Nothing: it depends on more.
using Digit = std::optional<int64_t>;  // the stride
using Digits = std::vector<Digit>;

class Follower {
 public:
  Follower(const Graph& graph, const std::vector<bool>& stored,
           const std::map<NodeId, int64_t>& sums, int64_t places)
      : graph_(graph), stored_(stored), sums_(sums), places_(places) {}

  bool visit(NodeId id, const Digits& at, bool root) {
    const Node& node = graph_.node(id);
    if (auto sum = sums_.find(id); sum != sums_.end()) {
      const Digit whole = merged(at, node.shape, 0, node.shape.rank());
      return whole == Digit(sum->second) && node.shape.numel() * sum->second == places_;
    }
    if ((stored_[id] && !root) || !seen_.insert({id, at}).second) return true;
    for (NodeId input : node.inputs)
      if (!visit(input, of_input(node, input, at), false)) return false;
    return true;
  }

 private:
  // Axes [begin, end) of a shape as one; axes of one element say nothing.
  static Digit merged(const Digits& at, const Shape& shape, int begin, int end) {
    Digit whole = 1;  // of a single element any will do
    int64_t expected = 0;
    for (int i = end - 1; i >= begin; --i) {
      if (shape[i] == 1) continue;
      const Digit digit = at[static_cast<size_t>(i)];
      if (!digit || (expected > 0 && *digit != expected)) return std::nullopt;
      if (expected == 0) whole = digit;
      expected = *digit * shape[i];
    }
    return whole;
  }

  Digits of_input(const Node& node, NodeId input, const Digits& at) const {
    const Shape& from = graph_.node(input).shape;
    Digits result(static_cast<size_t>(from.rank()));
    switch (node.op) {
      case Op::kReshape:
        for (const ReshapeSegment& s : reshape_segments(node.shape, from)) {
          Digit inner = merged(at, node.shape, s.from_begin, s.from_end);
          for (int i = s.to_end - 1; inner && i >= s.to_begin; --i) {
            result[static_cast<size_t>(i)] = inner;
            inner = *inner * from[i];
          }
        }
        return result;
      case Op::kPermute: {
        const auto& axes = std::get<AxesAttr>(node.attrs).axes;
        for (size_t i = 0; i < axes.size(); ++i) result[static_cast<size_t>(axes[i])] = at[i];
        return result;
      }
      case Op::kBroadcast:  // an axis of one element says nothing
        return at;
      case Op::kPad: {
        const auto& pad = std::get<PadAttr>(node.attrs);
        for (size_t i = 0; i < result.size(); ++i)
          if (from[static_cast<int>(i)] == node.shape[static_cast<int>(i)] && pad.low[i] == 0)
            result[i] = at[i];
        return result;
      }
      default:
        if (op_def(node.op).op_class == OpClass::kElementwise && from == node.shape) return at;
        return result;
    }
  }

  const Graph& graph_;
  const std::vector<bool>& stored_;
  const std::map<NodeId, int64_t>& sums_;
  int64_t places_;
  std::set<std::pair<NodeId, Digits>> seen_;
};

}  // namespace

bool reads_own_sums(const Graph& graph, const std::vector<bool>& stored, NodeId root,
                    const std::map<NodeId, int64_t>& sums) {
  const Shape& shape = graph.node(root).shape;
  Digits at(static_cast<size_t>(shape.rank()));
  at.front() = shape[-1];
  at.back() = 1;
  return Follower(graph, stored, sums, shape[0] * shape[-1]).visit(root, at, true);
}

}  // namespace ito
