// The shape that numpy's broadcasting gives two operands: trailing axes aligned, extents equal
// or 1.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/shape.h"

namespace ito {

inline Shape broadcast_shape(const Shape& a, const Shape& b) {
  int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank), 1);
  for (int i = 1; i <= rank; ++i) {
    int64_t da = i <= a.rank() ? a[-i] : 1, db = i <= b.rank() ? b[-i] : 1;
    CHECK(da == db || da == 1 || db == 1,
          fmt::format("shapes {} and {} do not broadcast", a.to_string(), b.to_string()));
    dims[static_cast<size_t>(rank - i)] = da == 1 ? db : da;
  }
  return Shape(std::move(dims));
}

}  // namespace ito
