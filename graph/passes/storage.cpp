#include "graph/passes/storage.h"

#include <algorithm>
#include <functional>

#include "graph/kernels/attention.h"
#include "graph/passes/fuse.h"
#include "graph/passes/prologue.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

// Recomputing an expression costlier than this in two kernels loses against storing it once.
constexpr int kInlineCostLimit = 40;
constexpr int kLoadCost = 2;
// A value used by many more elements than it has is stored when it costs more than this.
constexpr int kBroadcastCostLimit = 8;
constexpr int64_t kBroadcastFactor = 8;
constexpr size_t kMaxLoads = 10;
// An epilogue is written once per accumulator row of a contraction: long ones are maps of their
// own.
constexpr size_t kMaxEpilogueLoads = 4;
constexpr int kEpilogueCostLimit = 24;
// Contractions of fewer outputs leave a GPU idle.
constexpr int64_t kSmallOutputs = 24576;

// Cost of computing `id` from what is stored; `load`: of loading an element of that.
int tree_cost(const Graph& graph, const std::vector<bool>& stored, NodeId id, int load = 0) {
  int total = 0;
  std::set<NodeId> seen;
  std::function<void(NodeId)> visit = [&](NodeId n) {
    if (!seen.insert(n).second) return;
    const Node& node = graph.node(n);
    if (n != id && (is_heavy(node) || stored[n])) {
      total += load;
      return;
    }
    if (op_def(node.op).op_class == OpClass::kElementwise) total += op_def(node.op).cost;
    for (NodeId input : node.inputs) visit(input);
  };
  visit(id);
  return total;
}

class StorageChooser {
 public:
  StorageChooser(const Program& program, bool fuse_elementwise)
      : program_(program), graph_(*program.graph), fuse_elementwise_(fuse_elementwise) {
    const size_t n = graph_.size();
    live_ = live_nodes(program);
    consumers_.resize(n);
    for (NodeId id = 0; id < n; ++id)
      if (live_[id])
        for (NodeId input : std::set<NodeId>(node(id).inputs.begin(), node(id).inputs.end()))
          consumers_[input].push_back(id);
    storage_.stored.assign(n, false);
    storage_.forced.assign(n, false);
    storage_.chain.assign(n, kNoNode);
  }

  NodeStorage run() {
    force_storage();
    storage_.early = prologue_nodes(program_, storage_.placed);
    for (NodeId id = 0; id < graph_.size(); ++id)
      if (live_[id] && is_attention(node(id).op))
        storage_.chain[id] = id;
      else if (live_[id] && is_heavy(node(id)))
        follow_epilogue(id);
    store_expensive();
    return std::move(storage_);
  }

 private:
  const Node& node(NodeId id) const { return graph_.node(id); }

  void force(NodeId id) {
    storage_.forced[id] = true;
    storage_.stored[id] = true;
  }

  // What must lie in memory whatever it costs.
  void force_storage() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id]) continue;
      const Node& n = node(id);
      if (is_stored_leaf(n)) storage_.stored[id] = true;
      if (is_heavy(n)) storage_.stored[id] = true;  // follow_epilogue may take it back
      if (op_def(n.op).op_class == OpClass::kContraction)
        for (NodeId input : n.inputs) force(input);
      if (is_attention(n.op)) {
        force(id);
        for (NodeId input : n.inputs) force(attention_operand_base(graph_, input));
      }
      if (n.op == Op::kGather) force(n.inputs[0]);
      if (is_placed_concat(graph_, id)) {
        force(id);
        int64_t begin = 0;
        for (NodeId part : n.inputs) {
          int64_t size = node(part).shape.numel();
          while (node(part).op == Op::kReshape) part = node(part).inputs[0];
          force(part);
          storage_.placed[part] = {id, begin};
          begin += size;
        }
      }
      if (!fuse_elementwise_ && op_def(n.op).op_class == OpClass::kElementwise) force(id);
    }
    for (const ProgramOutput& output : program_.outputs) force(output.value.id());
  }

  // The node at which everything that uses `id` meets, one or two elementwise steps on.
  NodeId next_in_chain(NodeId id) const {
    const auto& users = consumers_[id];
    auto fits = [&](NodeId user) {
      const Node& n = node(user);
      return (op_def(n.op).op_class == OpClass::kElementwise || n.op == Op::kReshape) &&
             n.shape.numel() == node(id).shape.numel();
    };
    if (users.empty()) return kNoNode;
    if (users.size() == 1) return fits(users[0]) ? users[0] : kNoNode;
    NodeId last = *std::max_element(users.begin(), users.end());
    for (NodeId candidate : {last, consumers_[last].size() == 1 ? consumers_[last][0] : kNoNode}) {
      if (candidate == kNoNode || !fits(candidate)) continue;
      bool all = true;
      for (NodeId user : users)
        all &=
            user == candidate || (fits(user) && !storage_.forced[user] &&
                                  consumers_[user].size() == 1 && consumers_[user][0] == candidate);
      if (all) return candidate;
    }
    return kNoNode;
  }

  // Whether `next` puts together a small contraction and as much that does not depend on it: in its
  // epilogue, contractions that could run side by side would wait for each other.
  bool adds_another(NodeId heavy, NodeId last, NodeId next) const {
    if (node(heavy).op != Op::kContract || node(next).shape.numel() > kSmallOutputs) return false;
    return std::any_of(node(next).inputs.begin(), node(next).inputs.end(), [&](NodeId input) {
      while (node(input).op == Op::kReshape) input = node(input).inputs[0];
      const OpClass c = op_def(node(input).op).op_class;
      const bool computed = c == OpClass::kElementwise || c == OpClass::kContraction;
      return input != last && computed && !depends_on(last, input) && !depends_on(input, last);
    });
  }

  bool depends_on(NodeId id, NodeId other) const {
    std::set<NodeId> seen;
    std::vector<NodeId> open = {id};
    while (!open.empty()) {
      const NodeId at = open.back();
      open.pop_back();
      if (at == other) return true;
      for (NodeId input : node(at).inputs)
        if (input >= other && seen.insert(input).second) open.push_back(input);
    }
    return false;
  }

  // Lets a reduction or contraction store what is made of it instead of its raw result.
  void follow_epilogue(NodeId heavy) {
    NodeId last = heavy;
    while (!storage_.forced[last]) {
      NodeId next = next_in_chain(last);
      if (next == kNoNode || chained_.contains(next) ||
          storage_.early[next] != storage_.early[heavy] || adds_another(heavy, last, next))
        break;
      chained_.insert(next);
      storage_.stored[next] = true;
      storage_.stored[last] = false;
      bool contraction = op_def(node(heavy).op).op_class == OpClass::kContraction;
      if (loads_of(graph_, storage_.stored, {next}).size() >
              (contraction ? kMaxEpilogueLoads + 2 : kMaxLoads) ||
          (contraction && tree_cost(graph_, storage_.stored, next) > kEpilogueCostLimit)) {
        storage_.stored[next] = storage_.forced[next];
        storage_.stored[last] = true;
        break;
      }
      last = next;
    }
    storage_.chain[last] = heavy;
  }

  void store_expensive() {
    std::vector<int> cost(graph_.size(), 0);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || is_heavy(node(id)) || is_stored_leaf(node(id))) continue;
      const Node& n = node(id);
      int64_t total = op_def(n.op).op_class == OpClass::kElementwise ? op_def(n.op).cost : 1;
      for (NodeId input : n.inputs) total += storage_.stored[input] ? kLoadCost : cost[input];
      cost[id] = static_cast<int>(std::min<int64_t>(total, 1 << 20));
      if (storage_.stored[id]) continue;
      if (on_chain(id)) continue;
      int64_t widest = 0;
      for (NodeId user : consumers_[id]) widest = std::max(widest, work_of(user));
      bool broadcast = widest >= kBroadcastFactor * n.shape.numel();
      bool shared = consumers_[id].size() > 1;
      bool movement_only = op_def(n.op).op_class != OpClass::kElementwise;
      // The sums along the way count what is used twice twice: a bound, and quickly had.
      if ((shared && cost[id] > kInlineCostLimit &&
           tree_cost(graph_, storage_.stored, id, kLoadCost) > kInlineCostLimit) ||
          (broadcast && !movement_only &&
           (cost[id] > kBroadcastCostLimit || follows_reduction(id))))
        storage_.stored[id] = true;
    }
    // Kernels have room for a limited number of arguments.
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || is_stored_leaf(node(id))) continue;
      while (loads_of(graph_, storage_.stored, {id}).size() > kMaxLoads) {
        NodeId widest = kNoNode;
        size_t most = 1;
        for (NodeId input : node(id).inputs) {
          if (storage_.stored[input] || on_chain(input)) continue;
          size_t count = loads_of(graph_, storage_.stored, {input}).size();
          if (count > most) most = count, widest = input;
        }
        if (widest == kNoNode) break;
        storage_.stored[widest] = true;
      }
    }
  }

  // Made of as many sums, so that their kernel can store it as well: one load for its users.
  bool follows_reduction(NodeId id) const {
    return std::any_of(node(id).inputs.begin(), node(id).inputs.end(), [&](NodeId input) {
      while (node(input).op == Op::kReshape && !storage_.stored[input])
        input = node(input).inputs[0];
      return storage_.stored[input] && storage_.chain[input] != kNoNode &&
             op_def(node(storage_.chain[input]).op).op_class == OpClass::kReduce &&
             node(input).shape.numel() == node(id).shape.numel();
    });
  }

  // Elements for which a user evaluates its operands.
  int64_t work_of(NodeId user) const {
    int64_t n = node(user).shape.numel();
    for (NodeId input : node(user).inputs) n = std::max(n, node(input).shape.numel());
    return n;
  }

  // Computed between a heavy node and what its kernel stores.
  bool on_chain(NodeId id) const {
    if (is_heavy(node(id)) && !storage_.stored[id]) return true;
    return chained_.contains(id) && !storage_.stored[id];
  }

  const Program& program_;
  const Graph& graph_;
  bool fuse_elementwise_;
  std::vector<bool> live_;
  std::vector<std::vector<NodeId>> consumers_;
  std::set<NodeId> chained_;
  NodeStorage storage_;
};

}  // namespace

bool is_heavy(const Node& node) {
  OpClass c = op_def(node.op).op_class;
  return c == OpClass::kReduce || c == OpClass::kContraction || is_attention(node.op);
}

bool is_stored_leaf(const Node& node) { return node.op == Op::kInput || node.op == Op::kConstant; }

std::map<NodeId, bool> loads_of(const Graph& graph, const std::vector<bool>& stored,
                                const std::vector<NodeId>& roots) {
  return loads_between(graph, stored, roots, {roots.begin(), roots.end()}, kNoNode);
}

std::map<NodeId, bool> loads_between(const Graph& graph, const std::vector<bool>& stored,
                                     const std::vector<NodeId>& roots, const std::set<NodeId>& own,
                                     NodeId end) {
  std::map<NodeId, bool> loads;
  std::set<std::pair<NodeId, bool>> seen;
  std::function<void(NodeId, bool)> visit = [&](NodeId id, bool same) {
    if (id == end || !seen.insert({id, same}).second) return;
    const Node& n = graph.node(id);
    if (stored[id] && !own.contains(id)) {
      auto [it, fresh] = loads.emplace(id, same);
      if (!fresh) it->second &= same;
      return;
    }
    bool keeps = op_def(n.op).op_class == OpClass::kElementwise || n.op == Op::kReshape;
    for (NodeId input : n.inputs) visit(input, same && keeps);
  };
  for (NodeId root : roots) visit(root, true);
  return loads;
}

bool fits_epilogue(const Graph& graph, const std::vector<bool>& stored, NodeId id, size_t loads) {
  return loads <= kMaxEpilogueLoads && tree_cost(graph, stored, id) <= kEpilogueCostLimit;
}

NodeStorage choose_storage(const Program& program, bool fuse_elementwise) {
  return StorageChooser(program, fuse_elementwise).run();
}

}  // namespace ito
