// The order of the kernels. Not which kernel computes what (passes/fuse.h) nor where results lie
// (passes/plan_memory.h).
#pragma once

#include "graph/passes/fuse.h"

namespace ito {

// Sorts fused.kernels so that each comes after those that it must follow (FusedKernel::after), and
// else in the order of the program: that keeps a result close to its use, and gradients free their
// activations as they go. Kernel numbers in `after` and kernel_of follow.
void schedule(FusedProgram& fused);

}  // namespace ito
