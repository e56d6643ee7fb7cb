// compile: Program + DeviceCaps → Plan. The pipeline, in order, with the reason for each step's
// place, is in compile.cpp.
#pragma once

#include "base/result.h"
#include "graph/device_caps.h"
#include "graph/plan.h"
#include "graph/program.h"

namespace ito {

struct CompileOptions {
  bool fuse = true;          // false: one kernel per op, for tests of the fuser
  bool reuse_memory = true;  // false: no aliasing in the arena, for tests of the planner
};

Result<Plan> compile(const Program& program, const DeviceCaps& caps,
                     const CompileOptions& options = {});

}  // namespace ito
