#include "graph/passes/schedule.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"

namespace ito {

// Topological, the prologue first, ties by age: joining kernels may have made an early one wait for
// a later one.
void schedule(FusedProgram& fused) {
  const size_t n = fused.kernels.size();
  std::vector<int> waiting(n, 0);
  std::vector<std::vector<int>> next(n);
  for (size_t k = 0; k < n; ++k) {
    std::vector<int>& after = fused.kernels[k].after;
    std::sort(after.begin(), after.end());
    after.erase(std::unique(after.begin(), after.end()), after.end());
    std::erase(after, static_cast<int>(k));
    waiting[k] = static_cast<int>(after.size());
    for (int before : after) next[static_cast<size_t>(before)].push_back(static_cast<int>(k));
  }
  std::set<std::pair<bool, int>> ready;
  const auto become_ready = [&](int k) {
    ready.insert({!fused.kernels[static_cast<size_t>(k)].prologue, k});
  };
  for (size_t k = 0; k < n; ++k)
    if (waiting[k] == 0) become_ready(static_cast<int>(k));
  std::vector<int> position(n, -1);
  std::vector<FusedKernel> sorted;
  while (!ready.empty()) {
    const int k = ready.begin()->second;
    ready.erase(ready.begin());
    position[static_cast<size_t>(k)] = static_cast<int>(sorted.size());
    sorted.push_back(std::move(fused.kernels[static_cast<size_t>(k)]));
    sorted.back().dispatch = position[static_cast<size_t>(k)];
    for (int after : next[static_cast<size_t>(k)])
      if (--waiting[static_cast<size_t>(after)] == 0) become_ready(after);
  }
  CHECK(sorted.size() == n, "fusion made a cycle of kernels");
  for (FusedKernel& kernel : sorted)
    for (int& before : kernel.after) before = position[static_cast<size_t>(before)];
  for (int& k : fused.kernel_of)
    if (k >= 0) k = position[static_cast<size_t>(k)];
  fused.kernels = std::move(sorted);
}

}  // namespace ito
