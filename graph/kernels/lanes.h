// Lanes of the kernels for CPU drivers, in which one subgroup is a workgroup and its invocation a
// constant vector inside the driver (docs/decisions/0005-lanes-on-cpu-drivers.md). Text of GLSL
// only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/kernels/kernel_writer.h"

namespace ito {

// Statements that declare `lane` and, for each lane l but the first, `is_lane<l>`. They belong
// before any loop: a comparison inside one that a store function repeats would be carried out of
// the loop as data, and no longer be a constant of the driver's compiler.
std::vector<std::string> lane_declarations(KernelWriter& writer, int64_t lanes);

// Statements that declare `lane_index`, the element of a lane of a vector that begins at the
// variable `lane_start`, of `total` elements in all. A last vector that is not full is moved back,
// and elements that others have are not `lane_owned`, which is declared only then (`guarded`).
struct LaneIndex {
  std::vector<std::string> lines;
  bool guarded = false;
};
LaneIndex lane_index(int64_t total, int64_t lanes);

}  // namespace ito
