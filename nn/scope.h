// Scope: the name under which a layer asks for its parameters. The same layer functions run twice:
// once on a scratch graph to find out which parameters exist (declare_parameters), and then to
// build the network on views of the flat tensors that hold them, one per segment of the set and
// thus nearly always one. Also turns gradients back into such tensors. Not where shapes and names
// are kept (nn/parameters.h).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/builder.h"
#include "nn/parameters.h"

namespace ito {

// What the random numbers of a training are a function of.
struct Randomness {
  Tensor key = {};  // u32 [2], one for a whole training; empty: none are drawn
  Tensor image;     // u32 [n], the place of each image in the batch
  Tensor step;      // u32 [], batches seen
};

// One tensor per segment of a set.
using FlatTensors = std::vector<Tensor>;

// The name of what holds a segment of a state called `name`: that name where there is `of` = 1
// segment, else "name.0", "name.1" …
std::string segment_name(std::string_view name, size_t segment, size_t of);
// Inputs of those names, f32.
FlatTensors flat_inputs(Graph& graph, std::string_view name, const ParameterSet& set);

class Scope {
 public:
  // Parameters are views of `flat`, f32 tensors [segment.size], one per segment of the set, which
  // must outlive the scope.
  Scope(const ParameterSet& set, FlatTensors flat);
  // Of a set with one segment: f32 [set.size()].
  Scope(const ParameterSet& set, Tensor flat) : Scope(set, FlatTensors{flat}) {}

  // The child scope "<this>.<name>".
  Scope operator/(std::string_view name) const;
  Scope operator/(int64_t index) const;

  // The parameter "<this>.<name>" in our layout.
  Tensor parameter(std::string_view name, const ParameterSpec& spec) const;

  // The same parameters, but no gradient reaches them through this scope.
  Scope frozen() const;

  // The same parameters in a training, whose layers draw what they leave out (nn/dropout.h).
  Scope drawing(const Randomness& random) const;
  // Without a key where they draw nothing.
  const Randomness& randomness() const { return random_; }

  // Path, e.g. "mid_block.resnets.0"; empty at the root.
  const std::string& path() const { return path_; }

 private:
  friend ParameterSet declare_parameters(const std::function<void(Graph&, const Scope&)>&);
  Scope() = default;

  ParameterSet* declared_ = nullptr;  // set while declaring
  Graph* scratch_ = nullptr;
  const ParameterSet* set_ = nullptr;  // set while building
  FlatTensors flat_;
  Randomness random_;
  std::string path_;
};

// Gives the nodes built while it lives the scope's path as their label.
class ScopeLabel {
 public:
  ScopeLabel(Graph& graph, const Scope& scope);
  ~ScopeLabel();
  ScopeLabel(const ScopeLabel&) = delete;
  ScopeLabel& operator=(const ScopeLabel&) = delete;

 private:
  Graph& graph_;
  std::string saved_;
};

// Runs `network` once on a scratch graph and returns the parameters it asked for, in that order.
ParameterSet declare_parameters(const std::function<void(Graph&, const Scope&)>& network);

// The view of one parameter in the flat tensors, in our layout: a slice and a reshape.
Tensor parameter_view(const ParameterSet& set, const Parameter& parameter, const FlatTensors& flat);

// d(sum of loss)/d(flat), of the same shapes: the gradients with respect to each trainable
// parameter's view, laid out one after the other; gaps and frozen parameters are zero.
// (Not grad(loss, {flat}), which would pad every gradient to the full size and add them up.)
FlatTensors flat_gradient(const ParameterSet& set, const FlatTensors& flat, Tensor loss);
// Of a set with one segment.
Tensor flat_gradient(const ParameterSet& set, Tensor flat, Tensor loss);

}  // namespace ito
