#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

bool has_composites(const Program& program) {
  std::vector<bool> live = live_nodes(program);
  for (NodeId id = 0; id < program.graph->size(); ++id)
    if (live[id] && op_def(program.graph->node(id).op).decompose) return true;
  return false;
}

}  // namespace

Program decompose(const Program& program, const DeviceCaps&) {
  auto once = [](const Program& from) {
    return rewrite(from, [](Graph&, Tensor old, std::span<const Tensor> inputs) -> Tensor {
      const OpDef& def = op_def(old.node().op);
      return def.decompose ? def.decompose(old, inputs) : Tensor{};
    });
  };
  Program result = once(program);
  // A decomposition may use other composites (attention uses softmax).
  while (has_composites(result)) result = once(result);
  return result;
}

}  // namespace ito
