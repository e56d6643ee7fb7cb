// Fusion: decides which kernel computes each of the nodes that lie in memory (passes/storage).
// Everything else is recomputed where it is used. Not the kernels' order (passes/schedule), code
// generation (graph/kernels) nor addresses (passes/plan_memory).
#pragma once

#include <map>
#include <vector>

#include "base/device_caps.h"
#include "graph/passes/storage.h"
#include "graph/program.h"

namespace ito {

struct FusedKernel {
  enum class Kind { kMap, kReduce, kContract, kTransform, kAttention };
  Kind kind = Kind::kMap;
  // Reductions that share one walk over the same shape, one contraction or tile transform, or what
  // one attention kernel stores; none for a map.
  std::vector<NodeId> heavy;
  // Of reductions whose workgroups go on with what they have summed: sums of neighbouring results,
  // which share a second walk.
  std::vector<NodeId> second;
  // And of those that go on once more, over all rows of the columns whose sums they hold: what they
  // write there, all of one shape. Part of the stores.
  std::vector<NodeId> spread;
  // Nodes written, in topological order; except for attention and what is spread, all have as many
  // elements as the kernel has outputs, or as the second sums have.
  std::vector<NodeId> stores;
  // Stored nodes read, and whether each is only read at the element that is being written.
  std::map<NodeId, bool> loads;
  std::vector<int> after;  // kernels that must run before (data, or an overwritten input)
  int dispatch = 0;        // kernels of one dispatch run together; in execution order
  bool prologue = false;   // runs when parameters have changed (passes/prologue.h)
};

// Kinds whose operands lie in memory and whose text has functions of its own: one linear map, and
// what is made of its results as they are stored.
inline bool is_contraction(FusedKernel::Kind kind) {
  return kind == FusedKernel::Kind::kContract || kind == FusedKernel::Kind::kTransform;
}

struct FusedProgram {
  const Program* program = nullptr;
  std::vector<bool> stored;          // by node: lies in memory
  std::vector<FusedKernel> kernels;  // in execution order once schedule() has run
  std::vector<int> kernel_of;        // by node: which kernel stores it; -1 for none
  PlacedParts placed;
  // outputs[i] of the program is written in place by its kernel (donation); otherwise a copy is the
  // kernel that stores it.
  std::vector<bool> in_place;
};

// Gives every output and every part of a long concatenation a node of its own to store, adding
// copies where a value is needed in two places. Runs before fuse().
Program separate_results(const Program& program);

// `fuse_elementwise` false: every elementwise node is stored (for tests).
FusedProgram fuse(const Program& program, bool fuse_elementwise, const DeviceCaps& caps);

// Whether a concatenation is built by placing its parts in memory rather than by selecting.
bool is_placed_concat(const Graph& graph, NodeId id);

}  // namespace ito
