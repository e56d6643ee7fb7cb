// Which kernels run as one dispatch: small ones that do not depend on each other. A dispatch, and
// the barrier in front of it, costs a device more than they do. Not which kernel computes what
// (passes/fuse.h) and not the text (graph/kernels/joined.h).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/kernels/emit.h"
#include "graph/passes/fuse.h"

namespace ito {

// A kernel with the meaning of its argument keys: a stored node, or a stored node from some element
// on.
struct KeyedKernel {
  EmittedKernel emitted;
  std::vector<std::pair<NodeId, int64_t>> keys;
};

// Kernels that are one part of a dispatch: of the same text, which need not say for how many
// workgroups it is.
using PartKey = std::pair<std::string_view, uint32_t>;
inline PartKey part_key(const EmittedKernel& kernel) {
  return {kernel.kernel.glsl, kernel.groups[0]};
}

// Emits a kernel; `prefix` as emit_kernel's.
KeyedKernel keyed_kernel(const FusedProgram& fused, const FusedKernel& kernel,
                         const DeviceCaps& caps, const std::string& prefix);

// At most so many arguments has a dispatch of several kernels, and so many parts.
inline constexpr size_t kMaxJoinedArguments = 64, kMaxJoinedParts = 8;

// Numbers the dispatches (FusedKernel::dispatch) and sorts the kernels, and `emitted` with them, by
// these. Needs the order of schedule(), and keeps to it but for small kernels, which wait for
// others that can run together with them until something else needs their results; on GPUs also
// contractions of few workgroups, as most gradients of weights are. What waits, and what comes
// early, is bounded in bytes, so that the arena hardly grows.
void join_dispatches(FusedProgram& fused, std::vector<KeyedKernel>& emitted,
                     const DeviceCaps& caps);

}  // namespace ito
