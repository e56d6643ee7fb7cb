// ExpressionWriter: turns a tree of elementwise, movement and indexed nodes into GLSL statements
// which compute one element. Loads of stored tensors go straight to their address, however many
// movement ops lie between. What every archetype's prologue and epilogue are written with.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/kernels/glsl_text.h"
#include "graph/kernels/kernel_writer.h"

namespace ito {

// Where an element is: one uint expression per axis, or the row-major position, or both.
struct ElementIndex {
  std::string linear;               // empty: not known
  std::vector<std::string> coords;  // empty: not known
};

// Storage as kernels see it: which nodes lie in memory, and the argument key of a part of one
// that starts `offset` elements in.
struct StorageMap {
  std::function<bool(NodeId)> stored;
  std::function<NodeId(NodeId base, int64_t offset)> argument_key;
  // Parts of one tensor have an argument each, so that equal layers share one kernel, as long as
  // arguments last: `spare_arguments` is how many there may be beyond one per tensor, which is kept
  // for its first element.
  mutable int spare_arguments = 0;
  mutable std::map<NodeId, std::set<int64_t>> parts;  // first elements that have an argument

  // First element, at most `offset`, of the part through which `base` is to be read from there on.
  int64_t part_for(NodeId base, int64_t offset) const;
};

class ExpressionWriter {
 public:
  ExpressionWriter(const Graph& graph, KernelWriter& kernel, const StorageMap& storage)
      : graph_(graph), kernel_(kernel), storage_(storage) {}

  // Name of a GLSL variable (or literal) that holds the value of `id` at `index`. Statements are
  // appended to text().
  std::string value(NodeId id, const ElementIndex& index);

  // Says that `variable` holds `id` at row-major position `linear`; where that is empty, at every
  // position that will be asked for.
  void bind(NodeId id, const std::string& linear, const std::string& variable);

  // Lane-parallel devices whose lanes are known constants (CPU drivers): says that the variable
  // `name` is `base` + lane, where `base` is the same for all lanes and a multiple of `lanes`, and
  // that all lanes are within bounds. Loads at such addresses become one vector load instead of a
  // gather. gl_SubgroupInvocationID must be the lane.
  void set_lanes(const std::string& name, const std::string& base, uint32_t lanes);
  // Says that a variable differs between lanes. Everything else is taken to be uniform.
  void set_varying(const std::string& name) { varying_.insert(name); }

  // Coordinates of `index` in `shape`, from the position if need be.
  std::vector<std::string> coords(const ElementIndex& index, const Shape& shape);
  std::string linear(const ElementIndex& index, const Shape& shape);

  // A new uint (or other) variable for an expression; literals and names pass through.
  std::string variable(std::string_view type, const std::string& expression);

  const std::string& text() const { return text_; }
  std::string take_text() { return std::exchange(text_, {}); }
  // Adds finished statements.
  void append(const std::string& statements) { text_ += statements; }
  // Forgets variables (they went out of scope).
  void forget();

 private:
  std::string load(NodeId base, int64_t offset, const std::string& index);
  std::string lane_load_function(const std::string& name, DType dtype, int64_t divisor) const;
  std::string window_load_function(const std::string& name, DType dtype, int64_t count) const;
  std::string joined(const std::string& outer, const std::string& inner, int64_t ratio);
  bool is_varying(const std::string& expression) const;
  // Index arithmetic that keeps track of what is a lane-uniform part plus the lane.
  std::string add(const std::string& a, const std::string& b);
  std::string div(const std::string& a, int64_t divisor);
  std::string rem(const std::string& a, int64_t divisor);
  std::string dot(const std::vector<std::string>& at, const Shape& shape,
                  const std::vector<int64_t>& strides);
  std::string compute(NodeId id, const ElementIndex& index);
  std::string elementwise(const Node& node, const ElementIndex& index);
  std::string movement(const Node& node, const ElementIndex& index);
  void add_helpers(std::string_view text);
  std::string gather(const Node& node, const ElementIndex& index);

  const Graph& graph_;
  KernelWriter& kernel_;
  const StorageMap& storage_;
  std::string text_;
  std::map<std::string, std::string> known_;  // expression or node@index → variable
  std::set<std::string> varying_;
  // base + lane / divisor, base uniform.
  struct LaneForm {
    std::string base;
    int64_t divisor = 1;   // a divisor of lanes_
    bool aligned = false;  // base is a multiple of lanes_ / divisor
  };
  // Where lanes share few values, the divisor being none of theirs: all of low..high, `count` at
  // most, low and high uniform.
  struct Window {
    std::string low, high;
    int64_t count = 1;
  };
  std::map<std::string, Window> window_;
  // source / divisor or source % divisor: lets dot() put split coordinates together again.
  struct Derivation {
    bool remainder = false;
    std::string source;
    int64_t divisor = 1;
  };
  std::map<std::string, Derivation> derived_;
  std::map<std::string, LaneForm> lane_form_;                    // variable → its uniform part
  uint32_t lanes_ = 0;                                           // 0: no lane forms
  std::map<NodeId, std::pair<std::string, std::string>> bound_;  // node → (linear, variable)
  int next_ = 0;
};

}  // namespace ito
