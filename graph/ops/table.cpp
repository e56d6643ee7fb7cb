// The one table of ops, gathered from the families.
#include <array>

#include "base/check.h"
#include "graph/ops/families.h"

namespace ito {
namespace {

using Table = std::array<OpDef, static_cast<size_t>(Op::kCount)>;

Table make_table() {
  Table table;
  for (std::span<const OpDef> rows :
       {leaf_ops(), elementwise_ops(), philox_ops(), movement_ops(), indexed_ops(), reduce_ops(),
        matmul_ops(), conv2d_ops(), norm_ops(), softmax_ops(), attention_ops(), contract_ops(),
        tile_transform_ops()})
    for (const OpDef& row : rows) {
      OpDef& slot = table[static_cast<size_t>(row.op)];
      CHECK(slot.op == Op::kCount, "two rows for op " + std::string(row.name));
      slot = row;
    }
  for (const OpDef& row : table) CHECK(row.op != Op::kCount, "an op has no row");
  return table;
}

const Table& table() {
  static const Table kTable = make_table();
  return kTable;
}

}  // namespace

const OpDef& op_def(Op op) { return table()[static_cast<size_t>(op)]; }
std::span<const OpDef> op_table() { return table(); }

}  // namespace ito
