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

// `results`, which were built on the inputs `stand_ins`, on `operands` instead.
std::vector<Tensor> with_operands(Graph& graph, std::span<const Tensor> results,
                                  std::span<const Tensor> stand_ins,
                                  std::span<const Tensor> operands) {
  const NodeId first = stand_ins[0].id(), end = graph.size();
  std::vector<bool> needed(end, false);
  for (Tensor result : results)
    if (result) needed[result.id()] = true;
  for (NodeId id = end; id-- > first;)
    if (needed[id])
      for (NodeId x : graph.node(id).inputs) needed[x] = true;
  std::vector<Tensor> now;  // of the nodes from `first` on
  const auto of = [&](NodeId id) { return id < first ? Tensor(&graph, id) : now[id - first]; };
  const std::string label = graph.label();
  for (NodeId id = first; id < end; ++id) {
    const auto stand_in = std::find(stand_ins.begin(), stand_ins.end(), Tensor(&graph, id));
    if (stand_in != stand_ins.end()) {
      now.push_back(operands[static_cast<size_t>(stand_in - stand_ins.begin())]);
      continue;
    }
    now.push_back(Tensor(&graph, id));
    if (!needed[id]) continue;
    const Node node = graph.node(id);  // a copy: adding moves nodes
    std::vector<Tensor> inputs;
    bool moved = false;
    for (NodeId x : node.inputs) {
      inputs.push_back(of(x));
      moved = moved || inputs.back().id() != x;
    }
    if (!moved) continue;
    graph.set_label(node.label);
    now.back() = graph.add(node.op, node.dtype, node.shape, inputs, node.attrs);
  }
  graph.set_label(label);
  std::vector<Tensor> moved;
  for (Tensor result : results) moved.push_back(result ? of(result.id()) : result);
  return moved;
}

// The op's own rule, or else the gradient of its decomposition.
std::vector<Tensor> Sweep::node_gradient(Tensor self, std::span<const Tensor> inputs, Tensor dy) {
  const OpDef& def = op_def(self.node().op);
  if (def.grad) {
    std::vector<Tensor> gradients = def.grad(self, inputs, dy);
    gradients.resize(inputs.size());
    return gradients;
  }
  CHECK(def.decompose != nullptr, fmt::format("{} has no gradient", def.name));
  // Decomposed on inputs of its own in place of the operands. On these themselves simplification
  // would see through one that is, say, a reshape, so that the decomposition would not depend on
  // it, and nothing would flow to it.
  Graph& graph = self.graph();
  std::vector<Tensor> stand_ins;
  const std::string name = fmt::format("operand of {}", graph.size());  // none has it yet
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto same = std::find(inputs.begin(), inputs.begin() + i, inputs[i]);
    const size_t first = static_cast<size_t>(same - inputs.begin());
    stand_ins.push_back(first < i ? stand_ins[first]
                                  : input(graph, fmt::format("{}.{}", name, i), inputs[i].shape(),
                                          inputs[i].dtype()));
  }
  Tensor simple = def.decompose(self, stand_ins);
  Sweep sweep(simple, stand_ins, true);
  sweep.run(simple, dy);
  std::vector<Tensor> gradients;
  for (size_t i = 0; i < inputs.size(); ++i) {
    // An operand which occurs twice has its whole gradient at the first place.
    bool first = std::find(inputs.begin(), inputs.begin() + i, inputs[i]) == inputs.begin() + i;
    gradients.push_back(first ? sweep.adjoint(stand_ins[i]) : Tensor());
  }
  return with_operands(graph, gradients, stand_ins, inputs);
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
