// compile: Program + DeviceCaps → Plan. The pipeline, in order, with the reason for each step's
// place, is in compile.cpp.
#pragma once

#include "base/device_caps.h"
#include "base/result.h"
#include "graph/plan.h"
#include "graph/program.h"

namespace ito {

// How attention and its gradients are computed.
enum class AttentionForm {
  kFastest,     // whichever is faster on the device, as far as the compiler can tell
  kKernel,      // by a kernel that stores no scores, wherever there is one
  kDecomposed,  // by matrix products and a softmax
};

struct CompileOptions {
  bool fuse = true;          // false: one kernel per op, for tests of the fuser
  bool reuse_memory = true;  // false: no aliasing in the arena, for tests of the planner
  AttentionForm attention = AttentionForm::kFastest;
  // Of what the prologue stores (passes/prologue.h), at most; of a device's memory it is at most a
  // quarter. 0: no prologue, parameters are prepared at every replay.
  uint64_t prologue_bytes = uint64_t{1} << 30;
};

Result<Plan> compile(const Program& program, const DeviceCaps& caps,
                     const CompileOptions& options = {});

}  // namespace ito
