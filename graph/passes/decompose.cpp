#include "graph/passes/attention_form.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace ito {

Program decompose(const Program& program, const DeviceCaps& caps, AttentionForm form) {
  bool changed = false;
  auto once = [&](const Program& from) {
    changed = false;
    const std::vector<bool> kept = attention_with_kernels(from, caps, form);
    return rewrite(from, [&](Graph&, Tensor old, std::span<const Tensor> inputs) -> Tensor {
      const OpDef& def = op_def(old.node().op);
      if (!def.decompose || kept[old.id()]) return {};
      changed = true;
      return def.decompose(old, inputs);
    });
  };
  Program result = once(program);
  // A decomposition may use other composites (attention uses softmax).
  while (changed) result = once(result);
  return result;
}

}  // namespace ito
