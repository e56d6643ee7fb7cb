// Rebuilding a program node by node: what most passes are made of. Only nodes that an output needs
// are visited, so every rewrite also removes dead code.
#pragma once

#include <functional>
#include <span>

#include "graph/program.h"

namespace ito {

// Called for each live node in topological order with its operands already rewritten. Returns the
// replacement in `graph`, or an empty Tensor to copy the node unchanged.
using RewriteRule = std::function<Tensor(Graph& graph, Tensor old, std::span<const Tensor> inputs)>;

Program rewrite(const Program& program, const RewriteRule& rule);

// live[id]: whether an output needs node id.
std::vector<bool> live_nodes(const Program& program);

}  // namespace ito
