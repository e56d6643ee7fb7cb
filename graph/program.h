// Program: a graph with named results, some of which replace an input in place (donation).
// What compile() takes. Not executable by itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "graph/graph.h"
#include "graph/port.h"

namespace ito {

struct ProgramOutput {
  std::string name;  // external name; for a donated output the input's name
  Tensor value;
  bool donated = false;  // true: `name` is an input, which this value replaces after each replay
};

struct Program {
  std::string name = "program";
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<ProgramOutput> outputs;
  // What the factors of matrix products and convolutions are rounded to: f32, f16, bf16. Sums, and
  // everything else, are f32. compile() sees to it (passes/autocast); an interpreter does not.
  DType multiply = DType::kF32;

  // A result the host or another program can read.
  void output(std::string name, Tensor value) {
    outputs.push_back({std::move(name), value, false});
  }
  template <typename T, typename Name>
  void output(const Port<T, Name>& port, Tensor value) {
    CHECK(value.dtype() == kPortType<T>, std::string(port.name) + " is a port of another type");
    output(std::string(port.name), value);
  }
  // `input` (a kInput node) takes `value` (same shape and dtype) when the program has run. Inside
  // one run every use of `input` sees the old value.
  void update(Tensor input, Tensor value);
};

}  // namespace ito
