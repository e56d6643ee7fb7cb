// plan_memory: where every stored node lies. Outputs and inputs are externals, constants share one
// blob, everything else gets a range of one arena, shared by nodes that are never alive together.
#pragma once

#include "graph/passes/fuse.h"
#include "graph/plan.h"

namespace ito {

struct MemoryPlan {
  std::vector<BufferRange> place;  // by node; only stored nodes' entries mean anything
  std::vector<External> externals;
  std::vector<uint8_t> constants;
  uint64_t arena_size = 0;
  uint64_t arena_piece = 0;    // as Plan::arena_piece
  uint64_t kept_bytes = 0;     // as Plan::kept_bytes
  NodeId too_large = kNoNode;  // one that is stored and larger than `most`
  // Donated outputs that could not be written in place: copied at the end, output index → external.
  std::vector<std::pair<size_t, uint32_t>> copies;
};

// most: bytes of the largest piece of memory. An arena beyond it lies in pieces of that size.
MemoryPlan plan_memory(const FusedProgram& fused, bool reuse, uint64_t most = UINT64_MAX);

}  // namespace ito
