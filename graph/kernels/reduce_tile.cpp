#include <algorithm>
#include <bit>

#include "graph/kernels/reduce.h"

namespace ito {
namespace {

// Fewer rows do not repay the meeting in shared memory.
constexpr int64_t kMinRows = 16;
// Columns of a workgroup: from these on whole lines of memory are read, and more leave fewer
// workgroups.
constexpr int64_t kLine = 32, kMaxColumns = 64, kMinColumns = 8;
constexpr int64_t kColumnInvocations = 256;

}  // namespace

ColumnTile column_tile(const Shape& walk, const std::vector<bool>& reduced, int64_t together,
                       const DeviceCaps& caps) {
  const int rank = walk.rank();
  if (caps.is_cpu || rank < 2 || rank > 3) return {};
  for (int i = 0; i < rank; ++i)
    if (reduced[static_cast<size_t>(i)] != (i == rank - 2)) return {};
  const int64_t count = walk[-1];
  const int64_t most = std::min<int64_t>(
      {kColumnInvocations, caps.max_workgroup_invocations, caps.max_workgroup_size_x});
  if (walk[-2] < kMinRows || count % together != 0) return {};
  int64_t columns = 0;
  for (int64_t d = together; d <= std::min(count, kMaxColumns) && columns < kLine; d += together)
    if (count % d == 0) columns = d;
  if (columns < std::min(count, kMinColumns)) columns = count;
  const auto rows = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(most / columns)));
  if (rows < 2) return {};
  return {columns, std::min(rows, kMinRows)};
}

}  // namespace ito
