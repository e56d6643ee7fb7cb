// Which elements of sums an expression reads: what lets the workgroups that hold sums of columns
// write what is made of them, as a normalisation is of its statistics, without another kernel.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "graph/graph.h"

namespace ito {

// Whether every element of `root` [matrices, ..., columns] reads, of the stored nodes in `sums`,
// that element only which belongs to its matrix and column: element (matrix * columns + column) / n
// in row-major order, where `sums` gives n, the number of neighbouring columns that share one.
// False where the movement between them is of a kind that is not followed.
bool reads_own_sums(const Graph& graph, const std::vector<bool>& stored, NodeId root,
                    const std::map<NodeId, int64_t>& sums);

}  // namespace ito
