#include "graph/passes/prologue.h"

#include <algorithm>

#include "graph/passes/cost.h"

namespace ito {
namespace {

// Of the memory of a device.
constexpr uint64_t kMostShare = 4;

}  // namespace

ParameterWork::ParameterWork(const Program& program) {
  for (const ProgramOutput& output : program.outputs)
    if (output.donated) updated_.insert(output.name);
}

bool ParameterWork::alone(const Graph& graph, NodeId id) {
  while (alone_.size() <= id) {
    const Node& node = graph.node(static_cast<NodeId>(alone_.size()));
    const auto* input = std::get_if<InputAttr>(&node.attrs);
    alone_.push_back(input != nullptr
                         ? input->parameter && !updated_.contains(input->name)
                         : std::all_of(node.inputs.begin(), node.inputs.end(),
                                       [&](NodeId operand) { return alone_[operand]; }));
  }
  return alone_[id];
}

bool PrologueRoom::keeps(const Graph& graph, NodeId base, int64_t offset, uint64_t bytes) {
  if (kept_.contains({base, offset})) return true;
  if (bytes > left_ || !work_.alone(graph, base)) return false;
  left_ -= bytes;
  kept_.insert({base, offset});
  return true;
}

uint64_t prologue_limit(uint64_t most_bytes, const DeviceCaps& caps) {
  return std::min(most_bytes, caps.memory_bytes / kMostShare);
}

std::vector<bool> prologue_nodes(const Program& program, const PlacedParts& placed) {
  const Graph& graph = *program.graph;
  std::set<NodeId> results;
  for (const ProgramOutput& output : program.outputs) results.insert(output.value.id());
  ParameterWork work(program);
  std::vector<bool> nodes(graph.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    NodeId owner = id;  // a part of a concatenation lies in it
    for (auto it = placed.find(owner); it != placed.end(); it = placed.find(owner))
      owner = it->second.first;
    nodes[id] = work.alone(graph, id) && work.alone(graph, owner) && !results.contains(owner);
  }
  return nodes;
}

void limit_prologue(FusedProgram& fused, uint64_t most_bytes) {
  uint64_t left = most_bytes;
  // A kernel may stand before one that it needs: until nothing changes.
  for (bool changed = true; changed;) {
    changed = false;
    left = most_bytes;
    for (FusedKernel& kernel : fused.kernels) {
      if (!kernel.prologue) continue;
      uint64_t bytes = 0;
      for (NodeId id : kernel.stores) bytes += bytes_of(fused.program->graph->node(id));
      const bool fits =
          bytes <= left && std::all_of(kernel.after.begin(), kernel.after.end(), [&](int before) {
            return fused.kernels[static_cast<size_t>(before)].prologue;
          });
      if (fits) {
        left -= bytes;
      } else {
        kernel.prologue = false;
        changed = true;
      }
    }
  }
}

}  // namespace ito
