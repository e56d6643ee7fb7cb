// What kernels cost at least: floating-point operations and bytes moved, for reports, submit
// splitting and the fusion test. Not time.
#pragma once

#include "graph/passes/fuse.h"

namespace ito {

// What a node's value takes where it is stored.
inline uint64_t bytes_of(const Node& node) {
  return static_cast<uint64_t>(node.shape.numel()) * dtype_size(node.dtype);
}

struct KernelCost {
  uint64_t flops = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

// Every loaded tensor (or the part of it that is seen) read once, every stored one written once.
KernelCost kernel_cost(const Graph& graph, const FusedKernel& kernel,
                       const std::vector<bool>& stored);

// Bytes if every tensor of the program as built (each op's result, inputs and outputs, movement
// aside) were touched exactly once.
uint64_t ideal_bytes(const Program& program);
// Floating-point operations of a program whose composites are taken apart and whose contractions
// are not lowered yet: what the mathematics asks for, each node once, however kernels come by it.
uint64_t ideal_flops(const Program& program);

}  // namespace ito
