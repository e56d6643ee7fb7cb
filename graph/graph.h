// Graph: a typed, static-shape, append-only list of nodes in topological order, and Tensor, a
// handle to one node. Adding a node that already exists returns the existing one (value
// numbering), so graphs are free of common subexpressions by construction.
// Not the mathematics (graph/builder.h) and not compilation (graph/compile.h).
#pragma once

#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "graph/attrs.h"
#include "graph/op.h"

namespace ito {

using NodeId = uint32_t;
inline constexpr NodeId kNoNode = ~NodeId{0};

struct Node {
  Op op = Op::kFull;
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<NodeId> inputs;
  Attrs attrs;
  std::string label;  // scope in which it was built, e.g. "down_blocks.0.resnets.0.conv1"
};

class Tensor;

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;  // tensors point into it
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = delete;

  // Adds a node, or finds the equal one. `shape` is what OpDef::infer confirms; a mismatch is a
  // CHECK (builders validate user input before they come here).
  Tensor add(Op op, DType dtype, Shape shape, std::span<const Tensor> inputs, Attrs attrs = {});

  const Node& node(NodeId id) const { return nodes_[id]; }
  NodeId size() const { return static_cast<NodeId>(nodes_.size()); }

  // The label given to nodes from now on; Scope (below) manages it.
  const std::string& label() const { return label_; }
  void set_label(std::string label) { label_ = std::move(label); }

 private:
  std::deque<Node> nodes_;  // a deque: references to nodes stay valid while the graph grows
  std::unordered_multimap<uint64_t, NodeId> by_hash_;
  std::string label_;
};

// A value: which graph, which node. Empty by default.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Graph* graph, NodeId id) : graph_(graph), id_(id) {}

  explicit operator bool() const { return graph_ != nullptr; }
  Graph& graph() const { return *graph_; }
  NodeId id() const { return id_; }
  const Node& node() const { return graph_->node(id_); }
  const Shape& shape() const { return node().shape; }
  DType dtype() const { return node().dtype; }
  int64_t dim(int axis) const { return shape()[axis]; }
  int rank() const { return shape().rank(); }
  bool operator==(const Tensor&) const = default;

 private:
  Graph* graph_ = nullptr;
  NodeId id_ = kNoNode;
};

// Appends ".name" to the graph's label while it lives.
class LabelScope {
 public:
  LabelScope(Graph& graph, std::string_view name);
  ~LabelScope();
  LabelScope(const LabelScope&) = delete;
  LabelScope& operator=(const LabelScope&) = delete;

 private:
  Graph& graph_;
  std::string saved_;
};

// One node per line: "%3 = add(%1, %2) : f32[2,8]  # label".
std::string to_text(const Graph& graph);

// Checks every node against its OpDef; the first illegal one is named.
Status verify(const Graph& graph);

}  // namespace ito
