// What passes must know of the kernels of reductions: which are sums of columns, whose workgroups
// can go on summing their own results. Not their text (graph/kernels/reduce.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include "base/device_caps.h"
#include "base/shape.h"

namespace ito {

// A workgroup's part of a reduction over the rows of a matrix, or of several: `columns`
// neighbouring columns, each of them walked by `rows` invocations, which then meet in shared
// memory.
struct ColumnTile {
  int64_t columns = 0;
  int64_t rows = 0;
};

// Invocations of a column, about; for decisions on how to cut a reduction.
inline constexpr int64_t kColumnRows = 8;

// The tile of a reduction of `walk` over the axes that are `reduced`, where it is a sum of columns
// on a device that has many invocations: [rows, columns] or [matrices, rows, columns], over the
// rows. So many neighbouring columns as are `together` stay in one workgroup. No columns: another
// form serves it, or must. Does not depend on the number of matrices, which may be images.
ColumnTile column_tile(const Shape& walk, const std::vector<bool>& reduced, int64_t together,
                       const DeviceCaps& caps);

}  // namespace ito
