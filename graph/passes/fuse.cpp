#include "graph/passes/fuse.h"

#include <algorithm>
#include <functional>
#include <set>

#include "graph/kernels/attention.h"
#include "graph/kernels/reduce.h"
#include "graph/passes/prologue.h"
#include "graph/passes/rewrite.h"
#include "graph/plan.h"

namespace ito {
namespace {

// Recomputing an expression costlier than this in two kernels loses against storing it once.
constexpr int kInlineCostLimit = 40;
constexpr int kLoadCost = 2;
// A value used by many more elements than it has is stored when it costs more than this.
constexpr int kBroadcastCostLimit = 8;
constexpr int64_t kBroadcastFactor = 8;
constexpr size_t kMaxLoads = 10;
// Kernels back in which one is looked for that computes a value as well; and those in which a
// reduction is, with which it shares nothing but the walk: what it reads is kept for it.
constexpr int kWindow = 96, kNear = 16;
// An epilogue is written once per accumulator row of a contraction: long ones are maps of their
// own.
constexpr size_t kMaxEpilogueLoads = 4;
constexpr int kEpilogueCostLimit = 24;
// Contractions of fewer outputs leave a GPU idle.
constexpr int64_t kSmallOutputs = 24576;

bool is_heavy(const Node& node) {
  OpClass c = op_def(node.op).op_class;
  return c == OpClass::kReduce || c == OpClass::kContraction || is_attention(node.op);
}
FusedKernel::Kind kind_of(Op heavy) {
  if (heavy == Op::kContract) return FusedKernel::Kind::kContract;
  if (heavy == Op::kTileTransform) return FusedKernel::Kind::kTransform;
  return is_attention(heavy) ? FusedKernel::Kind::kAttention : FusedKernel::Kind::kReduce;
}
bool is_stored_leaf(const Node& node) { return node.op == Op::kInput || node.op == Op::kConstant; }

class Fuser {
 public:
  Fuser(const Program& program, bool fuse_elementwise, const DeviceCaps& caps)
      : program_(program),
        graph_(*program.graph),
        fuse_elementwise_(fuse_elementwise),
        caps_(caps) {
    size_t n = graph_.size();
    live_ = live_nodes(program);
    consumers_.resize(n);
    for (NodeId id = 0; id < n; ++id)
      if (live_[id])
        for (NodeId input : std::set<NodeId>(node(id).inputs.begin(), node(id).inputs.end()))
          consumers_[input].push_back(id);
    result_.program = &program;
    result_.stored.assign(n, false);
    result_.kernel_of.assign(n, -1);
    forced_.assign(n, false);
    chain_.assign(n, kNoNode);
  }

  FusedProgram run() {
    force_storage();
    early_ = prologue_nodes(result_);
    for (NodeId id = 0; id < graph_.size(); ++id)
      if (live_[id] && is_attention(node(id).op))
        chain_[id] = id;
      else if (live_[id] && is_heavy(node(id)))
        follow_epilogue(id);
    store_expensive();
    build_kernels();
    drop_inner_stores();
    order_overwrites();
    return std::move(result_);
  }

 private:
  const Node& node(NodeId id) const { return graph_.node(id); }

  void force(NodeId id) {
    forced_[id] = true;
    result_.stored[id] = true;
  }

  // What must lie in memory whatever it costs.
  void force_storage() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id]) continue;
      const Node& n = node(id);
      if (is_stored_leaf(n)) result_.stored[id] = true;
      if (is_heavy(n)) result_.stored[id] = true;  // follow_epilogue may take it back
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
          result_.placed[part] = {id, begin};
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
        all &= user == candidate || (fits(user) && !forced_[user] && consumers_[user].size() == 1 &&
                                     consumers_[user][0] == candidate);
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
    while (!forced_[last]) {
      NodeId next = next_in_chain(last);
      if (next == kNoNode || chained_.contains(next) || early_[next] != early_[heavy] ||
          adds_another(heavy, last, next))
        break;
      chained_.insert(next);
      result_.stored[next] = true;
      result_.stored[last] = false;
      bool contraction = op_def(node(heavy).op).op_class == OpClass::kContraction;
      if (loads_of({next}).size() > (contraction ? kMaxEpilogueLoads + 2 : kMaxLoads) ||
          (contraction && tree_cost(next) > kEpilogueCostLimit)) {
        result_.stored[next] = forced_[next];
        result_.stored[last] = true;
        break;
      }
      last = next;
    }
    chain_[last] = heavy;
  }

  // Cost of computing `id` from what is stored; `load`: of loading an element of that.
  int tree_cost(NodeId id, int load = 0) const {
    int total = 0;
    std::set<NodeId> seen;
    std::function<void(NodeId)> visit = [&](NodeId n) {
      if (!seen.insert(n).second) return;
      if (n != id && (is_heavy(node(n)) || result_.stored[n])) {
        total += load;
        return;
      }
      if (op_def(node(n).op).op_class == OpClass::kElementwise) total += op_def(node(n).op).cost;
      for (NodeId input : node(n).inputs) visit(input);
    };
    visit(id);
    return total;
  }

  void store_expensive() {
    std::vector<int> cost(graph_.size(), 0);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || is_heavy(node(id)) || is_stored_leaf(node(id))) continue;
      const Node& n = node(id);
      int64_t total = op_def(n.op).op_class == OpClass::kElementwise ? op_def(n.op).cost : 1;
      for (NodeId input : n.inputs) total += result_.stored[input] ? kLoadCost : cost[input];
      cost[id] = static_cast<int>(std::min<int64_t>(total, 1 << 20));
      if (result_.stored[id]) continue;
      if (on_chain(id)) continue;
      int64_t widest = 0;
      for (NodeId user : consumers_[id]) widest = std::max(widest, work_of(user));
      bool broadcast = widest >= kBroadcastFactor * n.shape.numel();
      bool shared = consumers_[id].size() > 1;
      bool movement_only = op_def(n.op).op_class != OpClass::kElementwise;
      // The sums along the way count what is used twice twice: a bound, and quickly had.
      if ((shared && cost[id] > kInlineCostLimit && tree_cost(id, kLoadCost) > kInlineCostLimit) ||
          (broadcast && !movement_only &&
           (cost[id] > kBroadcastCostLimit || follows_reduction(id))))
        result_.stored[id] = true;
    }
    // Kernels have room for a limited number of arguments.
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || is_stored_leaf(node(id))) continue;
      while (loads_of({id}).size() > kMaxLoads) {
        NodeId widest = kNoNode;
        size_t most = 1;
        for (NodeId input : node(id).inputs) {
          if (result_.stored[input] || on_chain(input)) continue;
          size_t count = loads_of({input}).size();
          if (count > most) most = count, widest = input;
        }
        if (widest == kNoNode) break;
        result_.stored[widest] = true;
      }
    }
  }

  // Made of as many sums, so that their kernel can store it as well: one load for its users.
  bool follows_reduction(NodeId id) const {
    return std::any_of(node(id).inputs.begin(), node(id).inputs.end(), [&](NodeId input) {
      while (node(input).op == Op::kReshape && !result_.stored[input])
        input = node(input).inputs[0];
      return result_.stored[input] && chain_[input] != kNoNode &&
             op_def(node(chain_[input]).op).op_class == OpClass::kReduce &&
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
    if (is_heavy(node(id)) && !result_.stored[id]) return true;
    return chained_.contains(id) && !result_.stored[id];
  }

  // Stored nodes that computing `roots` reads, and whether only at the written element.
  std::map<NodeId, bool> loads_of(const std::vector<NodeId>& roots) const {
    return loads_between(roots, {roots.begin(), roots.end()}, kNoNode);
  }

  // `own`: what is computed though it is stored. Nothing behind `end` is seen.
  std::map<NodeId, bool> loads_between(const std::vector<NodeId>& roots,
                                       const std::set<NodeId>& own, NodeId end) const {
    std::map<NodeId, bool> loads;
    std::set<std::pair<NodeId, bool>> seen;
    std::function<void(NodeId, bool)> visit = [&](NodeId id, bool same) {
      if (id == end || !seen.insert({id, same}).second) return;
      const Node& n = node(id);
      if (result_.stored[id] && !own.contains(id)) {
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

  // Whether kernels must run before one of `kernels`, directly or not; of these themselves, whether
  // another of them is behind. Found once for all kernels, when first asked: gradients of gradients
  // have thousands.
  class Before {
   public:
    Before(const FusedProgram& program, const std::vector<int>& kernels)
        : program_(program), open_(kernels) {}
    bool operator()(int kernel) {
      if (found_.empty()) find();
      return found_[static_cast<size_t>(kernel)];
    }

   private:
    void find() {
      found_.assign(program_.kernels.size(), false);
      while (!open_.empty()) {
        const int k = open_.back();
        open_.pop_back();
        for (int earlier : program_.kernels[static_cast<size_t>(k)].after) {
          if (found_[static_cast<size_t>(earlier)]) continue;
          found_[static_cast<size_t>(earlier)] = true;
          open_.push_back(earlier);
        }
      }
    }
    const FusedProgram& program_;
    std::vector<int> open_;
    std::vector<bool> found_;
  };

  void refresh(FusedKernel& kernel) {
    kernel.loads = loads_of(kernel.stores);
    kernel.after.clear();
    for (const auto& [id, same] : kernel.loads)
      if (int k = result_.kernel_of[id]; k >= 0) kernel.after.push_back(k);
  }

  // Elements of what a kernel's first sums, or its second ones, make.
  int64_t outputs_of(const FusedKernel& kernel, bool second) const {
    return node(second                 ? kernel.second[0]
                : kernel.heavy.empty() ? kernel.stores[0]
                                       : kernel.heavy[0])
        .shape.numel();
  }

  static bool stored_by(const FusedKernel& kernel, NodeId id) {
    return std::find(kernel.stores.begin(), kernel.stores.end(), id) != kernel.stores.end();
  }

  bool has_room(const FusedKernel& kernel, const FusedKernel& extra) const {
    std::set<NodeId> arguments(kernel.stores.begin(), kernel.stores.end());
    for (const auto& [id, same] : kernel.loads) arguments.insert(id);
    for (const auto& [id, same] : extra.loads) arguments.insert(id);
    arguments.insert(extra.stores.begin(), extra.stores.end());
    return arguments.size() < kMaxKernelArguments;
  }

  // What must hold for `extra` to be computed by kernel `k` as well.
  enum class Bond {
    kDepends,  // it is made of what k stores
    kShares,   // or reads some of what k reads
    kNone,     // nothing
  };

  // Whether `extra` may be computed by kernel `k` as well. `before`: of extra.after.
  bool can_join(int k, const FusedKernel& extra, Before& before, Bond least) const {
    const FusedKernel& kernel = result_.kernels[static_cast<size_t>(k)];
    if (is_contraction(kernel.kind) &&
        (extra.loads.size() > kMaxEpilogueLoads || tree_cost(extra.stores[0]) > kEpilogueCostLimit))
      return false;
    if (kernel.kind == FusedKernel::Kind::kAttention) return false;
    const int64_t elements = node(extra.stores[0]).shape.numel();
    Bond bond = Bond::kNone;
    bool second = false;
    for (const auto& [id, same] : extra.loads) {
      if (stored_by(kernel, id)) {
        if (!same) return false;
        bond = Bond::kDepends;
        second |= node(id).shape.numel() != outputs_of(kernel, false);
      } else if (kernel.loads.contains(id) && bond == Bond::kNone) {
        if (node(id).shape.numel() * 2 >= elements) bond = Bond::kShares;
      }
    }
    return bond <= least && elements == outputs_of(kernel, second) && has_room(kernel, extra) &&
           !before(k);
  }

  // Whether the workgroups of kernel `k`, which hold neighbouring sums, can add them up for
  // `extra`, a sum of neighbours, instead of storing and loading them.
  bool can_sum_again(int k, const FusedKernel& extra, Before& before) const {
    const FusedKernel& kernel = result_.kernels[static_cast<size_t>(k)];
    if (kernel.kind != FusedKernel::Kind::kReduce) return false;
    const NodeId sum = extra.heavy[0], operand = node(sum).inputs[0];
    const Shape& shape = node(operand).shape;
    const std::vector<int64_t>& axes = std::get<AxesAttr>(node(sum).attrs).axes;
    if (node(sum).op != Op::kReduceSum || axes != std::vector<int64_t>{shape.rank() - 1} ||
        shape.numel() != outputs_of(kernel, false) ||
        (!kernel.second.empty() && node(node(kernel.second[0]).inputs[0]).shape != shape))
      return false;
    if (tile_of(kernel.heavy[0], shape[-1]).columns == 0) return false;
    bool depends = false;
    for (const auto& [id, same] : loads_between({operand}, {}, kNoNode)) {
      if (!stored_by(kernel, id)) continue;
      if (!same || node(id).shape.numel() != shape.numel()) return false;
      depends = true;
    }
    for (const auto& [id, same] :
         loads_between(extra.stores, {extra.stores.begin(), extra.stores.end()}, sum))
      if (stored_by(kernel, id) && (!same || node(id).shape.numel() != node(sum).shape.numel()))
        return false;
    return depends && has_room(kernel, extra) && !before(k);
  }

  ColumnTile tile_of(NodeId sum, int64_t together) const {
    const Shape& walk = node(node(sum).inputs[0]).shape;
    std::vector<bool> reduced(static_cast<size_t>(walk.rank()), false);
    for (int64_t axis : std::get<AxesAttr>(node(sum).attrs).axes)
      reduced[static_cast<size_t>(axis)] = true;
    return column_tile(walk, reduced, together, caps_);
  }

  // Output and log-sum-exp, or the gradients of keys and values, from one walk over the scores.
  bool can_share_attention(int k, const FusedKernel& extra, Before& before) const {
    const FusedKernel& kernel = result_.kernels[static_cast<size_t>(k)];
    if (kernel.kind != FusedKernel::Kind::kAttention || kernel.stores.size() != 1 ||
        !attention_shares_walk(node(kernel.stores[0]), node(extra.stores[0])))
      return false;
    const std::vector<int>& after = extra.after;
    return !before(k) && std::find(after.begin(), after.end(), k) == after.end();
  }

  // The newest kernel that can compute `extra` as well, or one after the last. `second`: as a sum
  // of its sums.
  int find_kernel(const FusedKernel& extra, Before& before, bool& second) const {
    using Kind = FusedKernel::Kind;
    const int count = static_cast<int>(result_.kernels.size());
    for (int k = count - 1; k >= 0 && k >= count - kWindow; --k) {
      const FusedKernel& other = result_.kernels[static_cast<size_t>(k)];
      if (other.prologue != extra.prologue) continue;
      if (extra.kind == Kind::kMap) {
        if (can_join(k, extra, before, other.kind == Kind::kMap ? Bond::kShares : Bond::kDepends))
          return k;
      } else if (extra.kind == Kind::kReduce && other.kind == Kind::kReduce) {
        const bool near = k >= count - kNear;
        if (same_walk(other, extra) &&
            can_join(k, extra, before, near ? Bond::kNone : Bond::kShares))
          return k;
        second = can_sum_again(k, extra, before);
        if (second) return k;
      } else if (extra.kind == Kind::kAttention && can_share_attention(k, extra, before)) {
        return k;
      }
    }
    return count;
  }

  void build_kernels() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || !result_.stored[id] || is_stored_leaf(node(id))) continue;
      if (is_placed_concat(graph_, id)) continue;  // written by its parts
      FusedKernel kernel;
      kernel.stores = {id};
      kernel.prologue = early_[id];
      NodeId heavy = chain_[id];
      if (heavy != kNoNode) {
        kernel.heavy = {heavy};
        kernel.kind = kind_of(node(heavy).op);
      }
      refresh_placed(kernel);
      Before before(result_, kernel.after);
      bool second = false;
      const int target = find_kernel(kernel, before, second);
      if (target == static_cast<int>(result_.kernels.size())) {
        result_.kernels.push_back(std::move(kernel));
      } else {
        FusedKernel& joined = result_.kernels[static_cast<size_t>(target)];
        joined.stores.push_back(id);
        std::vector<NodeId>& sums = second ? joined.second : joined.heavy;
        sums.insert(sums.end(), kernel.heavy.begin(), kernel.heavy.end());
        refresh_placed(joined);
      }
      result_.kernel_of[id] = target;
    }
  }

  // Loads of a placed concatenation depend on the kernels of all its parts.
  void refresh_placed(FusedKernel& kernel) {
    refresh(kernel);
    for (const auto& [id, same] : kernel.loads) {
      if (!is_placed_concat(graph_, id)) continue;
      for (const auto& [part, place] : result_.placed)
        if (place.first == id) kernel.after.push_back(result_.kernel_of[part]);
    }
  }

  // Two reductions that visit as many elements in the same order.
  bool same_walk(const FusedKernel& a, const FusedKernel& b) const {
    const Node& x = node(a.heavy[0]);
    const Node& y = node(b.heavy[0]);
    return node(x.inputs[0]).shape == node(y.inputs[0]).shape &&
           std::get<AxesAttr>(x.attrs) == std::get<AxesAttr>(y.attrs);
  }

  // Sums that only their own kernel sums again need not be stored.
  void drop_inner_stores() {
    std::set<NodeId> loaded;
    for (const FusedKernel& kernel : result_.kernels)
      for (const auto& [id, same] : kernel.loads) loaded.insert(id);
    for (FusedKernel& kernel : result_.kernels) {
      if (kernel.second.empty()) continue;
      std::erase_if(kernel.stores, [&](NodeId id) {
        const bool inner = node(id).shape.numel() == outputs_of(kernel, false) && !forced_[id] &&
                           !loaded.contains(id);
        if (inner) result_.stored[id] = false;
        return inner;
      });
    }
  }

  // A donated input may be overwritten in place once everything that reads it has run.
  void order_overwrites() {
    result_.in_place.assign(program_.outputs.size(), false);
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      const ProgramOutput& output = program_.outputs[i];
      if (!output.donated) continue;
      int writer = result_.kernel_of[output.value.id()];
      CHECK(writer >= 0, "output " + output.name + " has no kernel");
      NodeId input = find_input(output.name);
      if (input == kNoNode) {
        result_.in_place[i] = true;  // nothing reads the old value
        continue;
      }
      bool possible = true;
      std::vector<int> readers;
      for (int k = 0; k < static_cast<int>(result_.kernels.size()); ++k) {
        auto load = result_.kernels[static_cast<size_t>(k)].loads.find(input);
        if (load == result_.kernels[static_cast<size_t>(k)].loads.end()) continue;
        if (k == writer)
          possible &= load->second &&
                      result_.kernels[static_cast<size_t>(k)].kind == FusedKernel::Kind::kMap;
        else if (Before(result_, {k})(writer))
          possible = false;
        else
          readers.push_back(k);
      }
      if (!possible) continue;
      result_.in_place[i] = true;
      auto& after = result_.kernels[static_cast<size_t>(writer)].after;
      after.insert(after.end(), readers.begin(), readers.end());
    }
  }

  NodeId find_input(const std::string& name) const {
    for (NodeId id = 0; id < graph_.size(); ++id)
      if (live_[id] && node(id).op == Op::kInput &&
          std::get<InputAttr>(node(id).attrs).name == name)
        return id;
    return kNoNode;
  }

  const Program& program_;
  const Graph& graph_;
  bool fuse_elementwise_;
  const DeviceCaps& caps_;
  std::vector<bool> live_;
  std::vector<std::vector<NodeId>> consumers_;
  std::vector<bool> forced_;
  std::vector<bool> early_;    // of the prologue
  std::vector<NodeId> chain_;  // stored node → the heavy node whose kernel stores it
  std::set<NodeId> chained_;
  FusedProgram result_;
};

}  // namespace

FusedProgram fuse(const Program& program, bool fuse_elementwise, const DeviceCaps& caps) {
  return Fuser(program, fuse_elementwise, caps).run();
}

}  // namespace ito
