// Reverse-mode differentiation as a graph-to-graph function. Gradients are nodes of the same graph,
// so they can be differentiated again.
#include <fmt/format.h>

#include <algorithm>

#include "graph/builder.h"

namespace ito {
namespace {

bool is_zero(Tensor x) {
  return x.node().op == Op::kFull && std::get<FullAttr>(x.node().attrs).value == 0;
}

// One reverse sweep from `result` to `leaves`.
class Sweep {
 public:
  // `cut`: leaves are independent variables even where one is computed from another.
  Sweep(Tensor result, std::span<const Tensor> leaves, bool cut)
      : graph_(result.graph()), on_path_(result.id() + 1, false), adjoints_(result.id() + 1) {
    std::vector<bool> is_leaf(result.id() + 1, false);
    for (Tensor leaf : leaves)
      if (leaf.id() <= result.id()) is_leaf[leaf.id()] = true;
    std::vector<bool> needed(result.id() + 1, false);  // ancestors of the result
    needed[result.id()] = true;
    for (NodeId id = result.id() + 1; id-- > 0;)
      if (needed[id])
        for (NodeId x : graph_.node(id).inputs) needed[x] = true;
    for (NodeId id = 0; id <= result.id(); ++id) {
      if (!needed[id]) continue;
      const Node& node = graph_.node(id);
      bool varies = false;
      if (op_def(node.op).differentiable && !(cut && is_leaf[id]))
        for (NodeId x : node.inputs) varies = varies || on_path_[x];
      passes_on_.push_back(varies ? id : kNoNode);
      on_path_[id] = varies || is_leaf[id];
    }
    std::erase(passes_on_, kNoNode);
  }

  // Nodes made on the way are labelled after the node they differentiate.
  void run(Tensor result, Tensor dy) {
    const std::string label = graph_.label();
    accumulate(result.id(), dy);
    for (auto it = passes_on_.rbegin(); it != passes_on_.rend(); ++it) {
      if (!adjoints_[*it]) continue;
      const Node& node = graph_.node(*it);
      std::vector<Tensor> inputs;
      for (NodeId x : node.inputs) inputs.push_back(Tensor(&graph_, x));
      graph_.set_label(node.label.empty() ? "grad" : node.label + ".grad");
      std::vector<Tensor> gradients = node_gradient(Tensor(&graph_, *it), inputs, adjoints_[*it]);
      for (size_t i = 0; i < inputs.size(); ++i)
        if (gradients[i] && on_path_[inputs[i].id()]) accumulate(inputs[i].id(), gradients[i]);
    }
    graph_.set_label(label);
  }

  // Empty where nothing flowed.
  Tensor adjoint(Tensor x) const {
    return x.id() < adjoints_.size() ? adjoints_[x.id()] : Tensor();
  }

 private:
  static std::vector<Tensor> node_gradient(Tensor self, std::span<const Tensor> inputs, Tensor dy);

  void accumulate(NodeId id, Tensor dy) {
    if (is_zero(dy)) return;
    CHECK(dy.shape() == graph_.node(id).shape,
          fmt::format("gradient of {} has shape {}, expected {}", op_def(graph_.node(id).op).name,
                      dy.shape().to_string(), graph_.node(id).shape.to_string()));
    adjoints_[id] = adjoints_[id] ? add(adjoints_[id], dy) : dy;
  }

  Graph& graph_;
  std::vector<bool> on_path_;      // varies with a leaf
  std::vector<NodeId> passes_on_;  // ascending: nodes whose adjoint goes on to their operands
  std::vector<Tensor> adjoints_;
};

// The op's own rule, or else the gradient of its decomposition.
std::vector<Tensor> Sweep::node_gradient(Tensor self, std::span<const Tensor> inputs, Tensor dy) {
  const OpDef& def = op_def(self.node().op);
  if (def.grad) {
    std::vector<Tensor> gradients = def.grad(self, inputs, dy);
    gradients.resize(inputs.size());
    return gradients;
  }
  CHECK(def.decompose != nullptr, fmt::format("{} has no gradient", def.name));
  Tensor simple = def.decompose(self, inputs);
  Sweep sweep(simple, inputs, true);
  sweep.run(simple, dy);
  std::vector<Tensor> gradients;
  for (size_t i = 0; i < inputs.size(); ++i) {
    // An operand which occurs twice has its whole gradient at the first place.
    bool first = std::find(inputs.begin(), inputs.begin() + i, inputs[i]) == inputs.begin() + i;
    gradients.push_back(first ? sweep.adjoint(inputs[i]) : Tensor());
  }
  return gradients;
}

}  // namespace

std::vector<Tensor> grad(Tensor loss, const std::vector<Tensor>& wrt) {
  Graph& graph = loss.graph();
  CHECK(is_float(loss.dtype()), "grad: the loss must be a float");
  Sweep sweep(loss, wrt, false);
  sweep.run(loss, full(graph, loss.shape(), 1, loss.dtype()));
  std::vector<Tensor> gradients;
  for (Tensor x : wrt) {
    Tensor dx = sweep.adjoint(x);
    gradients.push_back(dx ? cast(dx, DType::kF32) : full(graph, x.shape(), 0));
  }
  return gradients;
}

}  // namespace ito
