#include "graph/passes/join.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "graph/passes/cost.h"

namespace ito {
namespace {

// What is small: fewer invocations than fill a GPU, and little to do for each.
constexpr int64_t kSmallInvocations = 24576;
constexpr uint64_t kSmallBytes = uint64_t{1} << 20, kSmallFlops = uint64_t{64} << 20;
// Kernels ahead that are not long before their turn.
constexpr size_t kSoon = 8;
// What may be kept alive for kernels that wait, or by kernels that came early.
constexpr uint64_t kMostBytes = uint64_t{4} << 20;

// Contractions that leave a GPU idle wait longer, for others of their text: as long as what they
// keep alive is this part of what all kernels make.
constexpr uint64_t kDeferredPart = 64;

// Kernels of one class can stand in one text: contractions, whose text has functions of its own,
// only with their like; and the prologue is by itself.
using Class = std::tuple<uint32_t, uint32_t, PartKey, bool>;

class Joiner {
 public:
  Joiner(FusedProgram& fused, std::vector<KeyedKernel>& emitted, const DeviceCaps& caps)
      : fused_(fused), emitted_(emitted), caps_(caps), units_(fused.kernels.size()) {
    for (size_t k = 0; k < units_.size(); ++k) {
      describe(k);
      most_deferred_ += units_[k].made_bytes / kDeferredPart;
      units_[k].waiting = fused.kernels[k].after.size();
      for (int before : fused.kernels[k].after)
        units_[static_cast<size_t>(before)].next.push_back(k);
    }
  }

  void run() {
    for (size_t k = 0; k < units_.size(); ++k)
      if (units_[k].waiting == 0) become_ready(k);
    for (current_ = 0; current_ < units_.size(); ++current_) {
      const Unit& unit = units_[current_];
      if (unit.done) continue;
      if (unit.deferred) {
        if (deferred_bytes_ > most_deferred_) wave({*deferred_.begin()});
      } else if (!unit.small) {
        while (unit.waiting > 0) wave(needed_by(current_));
        dispatch(with_neighbours(current_));
      } else if (waiting_bytes_ > kMostBytes) {
        wave({ready_.begin(), ready_.end()});
      }
    }
    while (!ready_.empty()) wave({ready_.begin(), ready_.end()});
    while (!deferred_.empty()) wave({deferred_.begin(), deferred_.end()});
    CHECK(order_.size() == units_.size(), "a kernel was not dispatched");
    sort();
  }

 private:
  struct Unit {
    bool joins = false;  // may be one of several in a dispatch
    bool small = false, done = false;
    bool deferred = false;     // large, but waits for others of its text
    size_t waiting = 0;        // kernels that must run before and have not
    std::vector<size_t> next;  // those that wait for this one
    Class kind;
    uint64_t kept_bytes = 0, made_bytes = 0;  // of the arena
  };

  void describe(size_t k) {
    const FusedKernel& kernel = fused_.kernels[k];
    const EmittedKernel& e = emitted_[k].emitted;
    const Graph& graph = *fused_.program->graph;
    Unit& unit = units_[k];
    const KernelCost cost = kernel_cost(graph, kernel, fused_.stored);
    unit.joins =
        kernel.kind != FusedKernel::Kind::kAttention && e.groups[1] == 1 && e.groups[2] == 1;
    const int64_t invocations = int64_t{e.groups[0]} * e.kernel.local_size[0];
    unit.small = unit.joins && invocations <= kSmallInvocations &&
                 cost.bytes_read + cost.bytes_written <= kSmallBytes && cost.flops <= kSmallFlops;
    unit.deferred = !caps_.is_cpu && unit.joins && is_contraction(kernel.kind) && !unit.small &&
                    invocations <= kSmallInvocations;
    unit.kind = {e.kernel.local_size[0], e.kernel.required_subgroup_size,
                 is_contraction(kernel.kind) ? part_key(e) : PartKey(), kernel.prologue};
    for (const auto& [id, same] : kernel.loads)
      if (fused_.kernel_of[id] >= 0) unit.kept_bytes += bytes_of(graph.node(id));
    unit.kept_bytes = std::min(unit.kept_bytes, cost.bytes_read);
    unit.made_bytes = cost.bytes_written;
  }

  void become_ready(size_t k) {
    if (units_[k].small) {
      ready_.insert(k);
      waiting_bytes_ += units_[k].kept_bytes;
    } else if (units_[k].deferred) {
      deferred_.insert(k);
      deferred_bytes_ += units_[k].kept_bytes;
    }
  }

  // What must run before kernel k and can.
  std::vector<size_t> needed_by(size_t k) const {
    std::set<size_t> seen = {k};
    std::vector<size_t> open = {k}, ready;
    while (!open.empty()) {
      const size_t at = open.back();
      open.pop_back();
      if (units_[at].waiting == 0) ready.push_back(at);
      for (int before : fused_.kernels[at].after) {
        const auto b = static_cast<size_t>(before);
        if (!units_[b].done && seen.insert(b).second) open.push_back(b);
      }
    }
    std::sort(ready.begin(), ready.end());
    return ready;
  }

  // Kernel k, and those that come soon and can run now, whatever their size.
  std::vector<size_t> with_neighbours(size_t k) {
    std::vector<size_t> group = {k};
    const auto joins = [&](size_t i) {
      return units_[i].joins && units_[i].kind == units_[k].kind;
    };
    if (!joins(k) || !std::get<2>(units_[k].kind).first.empty()) return group;
    for (size_t i = k + 1; i < std::min(units_.size(), k + kSoon); ++i)
      if (!units_[i].done && units_[i].waiting == 0 && joins(i) && fits(group, i))
        group.push_back(i);
    return group;
  }

  // Dispatches all of `wanted`, and whatever else is ready and can run together with one of them.
  void wave(const std::vector<size_t>& wanted) {
    std::set<size_t> others(ready_);
    others.insert(deferred_.begin(), deferred_.end());
    std::vector<std::vector<size_t>> groups;
    std::set<size_t> taken;
    for (size_t first : wanted) {
      if (taken.contains(first)) continue;
      std::vector<size_t> group;
      for (const auto& list : {wanted, std::vector<size_t>(others.begin(), others.end())})
        for (size_t k : list)
          if (!taken.contains(k) && units_[k].kind == units_[first].kind && fits(group, k)) {
            group.push_back(k);
            taken.insert(k);
          }
      groups.push_back(std::move(group));
    }
    for (const std::vector<size_t>& group : groups) dispatch(group);
  }

  bool fits(const std::vector<size_t>& group, size_t k) {
    if (group.empty()) return true;
    std::set<PartKey> parts = {part_key(emitted_[k].emitted)};
    size_t arguments = emitted_[k].emitted.writer.arguments().size();
    for (size_t other : group) {
      parts.insert(part_key(emitted_[other].emitted));
      arguments += emitted_[other].emitted.writer.arguments().size();
    }
    if (arguments > kMaxJoinedArguments || parts.size() > kMaxJoinedParts) return false;
    if (k > current_ + kSoon) {  // long before its turn
      if (early_bytes_ + units_[k].made_bytes > kMostBytes) return false;
      early_bytes_ += units_[k].made_bytes;
    }
    return true;
  }

  void dispatch(const std::vector<size_t>& group) {
    for (size_t k : group) {
      units_[k].done = true;
      fused_.kernels[k].dispatch = dispatches_;
      order_.push_back(k);
      if (ready_.erase(k) > 0) waiting_bytes_ -= units_[k].kept_bytes;
      if (deferred_.erase(k) > 0) deferred_bytes_ -= units_[k].kept_bytes;
    }
    ++dispatches_;
    for (size_t k : group)
      for (size_t after : units_[k].next)
        if (--units_[after].waiting == 0) become_ready(after);
  }

  // In the order of dispatches, those of the prologue first: they wait for no others.
  void sort() {
    std::stable_partition(order_.begin(), order_.end(),
                          [&](size_t k) { return fused_.kernels[k].prologue; });
    int dispatch = -1;
    for (size_t i = 0, last = 0; i < order_.size(); ++i) {
      const size_t of = static_cast<size_t>(fused_.kernels[order_[i]].dispatch);
      if (i == 0 || of != last) ++dispatch;
      last = of;
      fused_.kernels[order_[i]].dispatch = dispatch;
    }
    std::vector<int> position(order_.size());
    std::vector<FusedKernel> kernels;
    std::vector<KeyedKernel> emitted;
    for (size_t i = 0; i < order_.size(); ++i) {
      position[order_[i]] = static_cast<int>(i);
      kernels.push_back(std::move(fused_.kernels[order_[i]]));
      emitted.push_back(std::move(emitted_[order_[i]]));
    }
    for (FusedKernel& kernel : kernels)
      for (int& before : kernel.after) before = position[static_cast<size_t>(before)];
    for (int& k : fused_.kernel_of)
      if (k >= 0) k = position[static_cast<size_t>(k)];
    fused_.kernels = std::move(kernels);
    emitted_ = std::move(emitted);
  }

  FusedProgram& fused_;
  std::vector<KeyedKernel>& emitted_;
  const DeviceCaps& caps_;
  std::vector<Unit> units_;
  std::set<size_t> ready_, deferred_;  // nothing must run before them
  std::vector<size_t> order_;
  size_t current_ = 0;
  int dispatches_ = 0;
  uint64_t waiting_bytes_ = 0, early_bytes_ = 0, deferred_bytes_ = 0, most_deferred_ = 0;
};

}  // namespace

KeyedKernel keyed_kernel(const FusedProgram& fused, const FusedKernel& kernel,
                         const DeviceCaps& caps, const std::string& prefix) {
  KeyedKernel result;
  std::map<std::pair<NodeId, int64_t>, NodeId> known;
  const auto key = [&](NodeId base, int64_t offset) {
    const auto [it, fresh] =
        known.try_emplace({base, offset}, static_cast<NodeId>(result.keys.size()));
    if (fresh) result.keys.push_back({base, offset});
    return it->second;
  };
  result.emitted = emit_kernel(*fused.program->graph, kernel, fused.stored, key, caps, prefix);
  return result;
}

void join_dispatches(FusedProgram& fused, std::vector<KeyedKernel>& emitted,
                     const DeviceCaps& caps) {
  Joiner(fused, emitted, caps).run();
}

}  // namespace ito
