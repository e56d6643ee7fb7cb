// The prologue of a plan: its first calls, which depend on parameters and constants alone. They run
// when parameters have changed, and what later calls read of their results stays in the arena: the
// weights of Winograd's convolutions, matrices stored in another order. Parameters that the program
// itself updates are none. Not when they run (runtime/executor.h).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/passes/fuse.h"

namespace ito {

// Which nodes of a program depend on parameters and constants alone. It may be asked of a graph
// that another pass is building of the program, which keeps the names of its inputs.
class ParameterWork {
 public:
  explicit ParameterWork(const Program& program);
  bool alone(const Graph& graph, NodeId id);

 private:
  std::set<std::string> updated_;  // inputs
  std::vector<bool> alone_;        // by node, as far as asked
};

// What a lowering may expect of the prologue: that it keeps results of at most so many bytes.
class PrologueRoom {
 public:
  PrologueRoom(const Program& program, uint64_t most_bytes) : work_(program), left_(most_bytes) {}
  // Whether it keeps `bytes` made of node `base` from element `offset` on; asked again, it says the
  // same and takes no more room.
  bool keeps(const Graph& graph, NodeId base, int64_t offset, uint64_t bytes);

 private:
  ParameterWork work_;
  uint64_t left_;
  std::set<std::pair<NodeId, int64_t>> kept_;
};

// Bytes that all results may have on a device.
uint64_t prologue_limit(uint64_t most_bytes, const DeviceCaps& caps);

// By node: may be stored by the prologue. Results of the program are not: others may write there.
std::vector<bool> prologue_nodes(const Program& program, const PlacedParts& placed);

// Keeps as many kernels in the prologue (FusedKernel::prologue), in their order, as store
// `most_bytes`.
void limit_prologue(FusedProgram& fused, uint64_t most_bytes);

}  // namespace ito
