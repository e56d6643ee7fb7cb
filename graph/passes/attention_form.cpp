#include "graph/passes/attention_form.h"

#include "graph/kernels/attention.h"
#include "graph/passes/rewrite.h"

namespace ito {

std::vector<bool> attention_with_kernels(const Program& program, const DeviceCaps& caps,
                                         AttentionForm form) {
  const Graph& graph = *program.graph;
  std::vector<bool> kept(graph.size(), false);
  if (form == AttentionForm::kDecomposed) return kept;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    kept[id] = is_attention(node.op) && attention_has_kernel(graph, node);
  }
  (void)caps;
  return kept;
}

}  // namespace ito
