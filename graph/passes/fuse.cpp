#include "graph/passes/fuse.h"

#include <algorithm>
#include <functional>
#include <set>

#include "graph/kernels/attention.h"
#include "graph/kernels/reduce.h"
#include "graph/passes/own_sums.h"
#include "graph/passes/rewrite.h"
#include "graph/passes/storage.h"
#include "graph/plan.h"

namespace ito {
namespace {

// Kernels back in which one is looked for that computes a value as well; and those in which a
// reduction is, with which it shares nothing but the walk: what it reads is kept for it.
constexpr int kWindow = 96, kNear = 16;
// Elements of a reduction that a workgroup visits a second time instead of leaving them to another
// kernel: they are still in a cache then, and few enough that more workgroups would not help.
constexpr int64_t kMostSpread = 8192;
FusedKernel::Kind kind_of(Op heavy) {
  if (heavy == Op::kContract) return FusedKernel::Kind::kContract;
  if (heavy == Op::kTileTransform) return FusedKernel::Kind::kTransform;
  return is_attention(heavy) ? FusedKernel::Kind::kAttention : FusedKernel::Kind::kReduce;
}

class Fuser {
 public:
  Fuser(const Program& program, NodeStorage storage, const DeviceCaps& caps)
      : program_(program),
        graph_(*program.graph),
        caps_(caps),
        live_(live_nodes(program)),
        forced_(std::move(storage.forced)),
        early_(std::move(storage.early)),
        chain_(std::move(storage.chain)) {
    result_.program = &program;
    result_.stored = std::move(storage.stored);
    result_.placed = std::move(storage.placed);
    result_.kernel_of.assign(graph_.size(), -1);
  }

  FusedProgram run() {
    build_kernels();
    drop_inner_stores();
    order_overwrites();
    return std::move(result_);
  }

 private:
  const Node& node(NodeId id) const { return graph_.node(id); }

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
    kernel.loads = loads_of(graph_, result_.stored, kernel.stores);
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

  static bool contains(const std::vector<NodeId>& list, NodeId id) {
    return std::find(list.begin(), list.end(), id) != list.end();
  }
  static bool stored_by(const FusedKernel& kernel, NodeId id) {
    return contains(kernel.stores, id);
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
        !fits_epilogue(graph_, result_.stored, extra.stores[0], extra.loads.size()))
      return false;
    if (kernel.kind == FusedKernel::Kind::kAttention) return false;
    const int64_t elements = node(extra.stores[0]).shape.numel();
    Bond bond = Bond::kNone;
    bool second = false;
    for (const auto& [id, same] : extra.loads) {
      if (stored_by(kernel, id)) {
        if (!same || contains(kernel.spread, id)) return false;
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
    for (const auto& [id, same] : loads_between(graph_, result_.stored, {operand}, {}, kNoNode)) {
      if (!stored_by(kernel, id)) continue;
      if (!same || node(id).shape.numel() != shape.numel()) return false;
      depends = true;
    }
    for (const auto& [id, same] : loads_between(graph_, result_.stored, extra.stores,
                                                {extra.stores.begin(), extra.stores.end()}, sum))
      if (stored_by(kernel, id) && (!same || node(id).shape.numel() != node(sum).shape.numel()))
        return false;
    return depends && has_room(kernel, extra) && !before(k);
  }

  int64_t columns_together(const FusedKernel& kernel) const {
    return kernel.second.empty() ? 1 : node(node(kernel.second[0]).inputs[0]).shape[-1];
  }

  // Whether the workgroups of kernel `k`, which hold the sums of some columns, can go on over these
  // columns' rows and write `extra`, which is made of the sums.
  bool can_spread(int k, const FusedKernel& extra, Before& before) const {
    const FusedKernel& kernel = result_.kernels[static_cast<size_t>(k)];
    if (kernel.kind != FusedKernel::Kind::kReduce) return false;
    const NodeId target = extra.stores[0];
    const Shape &walk = node(node(kernel.heavy[0]).inputs[0]).shape, &to = node(target).shape;
    const int64_t together = columns_together(kernel);
    const ColumnTile tile = tile_of(kernel.heavy[0], together);
    if (tile.columns == 0 || walk[-2] * tile.columns > kMostSpread || to.rank() < 3 ||
        to[0] * to[-1] != outputs_of(kernel, false) || to[-1] != walk[-1] ||
        (!kernel.spread.empty() && node(kernel.spread[0]).shape != to))
      return false;
    std::map<NodeId, int64_t> sums;
    for (NodeId id : kernel.stores)
      if (!contains(kernel.spread, id))
        sums[id] = node(id).shape.numel() == outputs_of(kernel, false) ? 1 : together;
    bool depends = false;
    for (const auto& [id, same] : extra.loads) {
      depends |= sums.contains(id);
      if (!same && contains(kernel.spread, id)) return false;
    }
    return depends && reads_own_sums(graph_, result_.stored, target, sums) &&
           has_room(kernel, extra) && !before(k);
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

  // As what a kernel computes another value.
  enum class Part { kFirst, kSecond, kSpread };

  // The newest kernel that can compute `extra` as well, or one after the last.
  int find_kernel(const FusedKernel& extra, Before& before, Part& part) const {
    using Kind = FusedKernel::Kind;
    const int count = static_cast<int>(result_.kernels.size());
    for (int k = count - 1; k >= 0 && k >= count - kWindow; --k) {
      const FusedKernel& other = result_.kernels[static_cast<size_t>(k)];
      if (other.prologue != extra.prologue) continue;
      if (extra.kind == Kind::kMap) {
        if (can_join(k, extra, before, other.kind == Kind::kMap ? Bond::kShares : Bond::kDepends))
          return k;
        if (can_spread(k, extra, before)) {
          part = Part::kSpread;
          return k;
        }
      } else if (extra.kind == Kind::kReduce && other.kind == Kind::kReduce) {
        const bool near = k >= count - kNear;
        if (same_walk(other, extra) &&
            can_join(k, extra, before, near ? Bond::kNone : Bond::kShares))
          return k;
        if (can_sum_again(k, extra, before)) {
          part = Part::kSecond;
          return k;
        }
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
      Part part = Part::kFirst;
      const int target = find_kernel(kernel, before, part);
      if (target == static_cast<int>(result_.kernels.size())) {
        result_.kernels.push_back(std::move(kernel));
      } else {
        FusedKernel& joined = result_.kernels[static_cast<size_t>(target)];
        joined.stores.push_back(id);
        if (part == Part::kSpread) joined.spread.push_back(id);
        std::vector<NodeId>& sums = part == Part::kSecond ? joined.second : joined.heavy;
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
    for (const FusedKernel& kernel : result_.kernels) {
      for (const auto& [id, same] : kernel.loads) loaded.insert(id);
      for (const auto& [id, same] : loads_of(graph_, result_.stored, kernel.spread))
        loaded.insert(id);
    }
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
  const DeviceCaps& caps_;
  // Of the storage.
  std::vector<bool> live_;
  std::vector<bool> forced_, early_;
  std::vector<NodeId> chain_;
  FusedProgram result_;
};

}  // namespace

FusedProgram fuse(const Program& program, bool fuse_elementwise, const DeviceCaps& caps) {
  return Fuser(program, choose_storage(program, fuse_elementwise), caps).run();
}

}  // namespace ito
