// Tables of host numbers that a program reads by its step counter, so that a loop needs no host.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace ito {

// Row `step` (u32 []) of a table [rows, columns], row-major, as f32 scalars (shape []), one per
// column. Steps beyond the last row give the last row.
std::vector<Tensor> table_row(const std::vector<double>& table, int64_t columns, Tensor step);

}  // namespace ito
