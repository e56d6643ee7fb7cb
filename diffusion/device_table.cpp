#include "diffusion/device_table.h"

#include "graph/builder.h"

namespace ito {

std::vector<Tensor> table_row(const std::vector<double>& table, int64_t columns, Tensor step) {
  Graph& graph = step.graph();
  const int64_t rows = static_cast<int64_t>(table.size()) / columns;
  const Tensor row = gather(constant(graph, {rows, columns}, table), reshape(step, {1}));
  std::vector<Tensor> entries;
  for (int64_t i = 0; i < columns; ++i)
    entries.push_back(reshape(slice_axis(row, 1, i, i + 1), Shape{}));
  return entries;
}

}  // namespace ito
