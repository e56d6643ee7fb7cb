// Storage: which nodes of a program lie in memory, and which sums, contractions and attentions they
// are made of by their own kernels; the first half of fusion. Everything else is recomputed where
// it is used. Not which kernel stores what (passes/fuse) nor addresses (passes/plan_memory).
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "graph/program.h"

namespace ito {

// Parts that are written straight into a concatenation: part → (concatenation, first element).
using PlacedParts = std::map<NodeId, std::pair<NodeId, int64_t>>;

// By node.
struct NodeStorage {
  std::vector<bool> stored;  // lies in memory
  std::vector<bool> forced;  // lies there whatever it costs
  std::vector<NodeId>
      chain;                // the heavy node whose kernel stores it as its epilogue; kNoNode: none
  std::vector<bool> early;  // of the prologue
  PlacedParts placed;
};

// `fuse_elementwise` false: every elementwise node is stored (for tests).
NodeStorage choose_storage(const Program& program, bool fuse_elementwise);

// Has a kernel of its own: reductions, contractions, attention.
bool is_heavy(const Node& node);
// Lies in memory before any kernel has run.
bool is_stored_leaf(const Node& node);

// Stored nodes that computing `roots` reads, and whether only at the written element.
std::map<NodeId, bool> loads_of(const Graph& graph, const std::vector<bool>& stored,
                                const std::vector<NodeId>& roots);
// `own`: what is computed though it is stored. Nothing behind `end` is seen.
std::map<NodeId, bool> loads_between(const Graph& graph, const std::vector<bool>& stored,
                                     const std::vector<NodeId>& roots, const std::set<NodeId>& own,
                                     NodeId end);
// Whether `id`, made of `loads` stored nodes, is short enough to be a contraction's epilogue.
bool fits_epilogue(const Graph& graph, const std::vector<bool>& stored, NodeId id, size_t loads);

}  // namespace ito
