// Runs programs on the interpreter, keeping their donated state between runs as the device would.
// Only for tests of nn.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "graph/interpret.h"
#include "graph/program.h"

namespace ito {

using HostValues = std::unordered_map<std::string, HostValue>;

inline HostValue host_value(Shape shape, std::vector<double> data) {
  return {std::move(shape), std::move(data)};
}

inline HostValue host_value(Shape shape, const std::vector<float>& data) {
  return {std::move(shape), std::vector<double>(data.begin(), data.end())};
}

inline HostValue host_scalar(double value) { return {Shape{}, {value}}; }

// The value of one tensor.
inline HostValue evaluate(Tensor tensor, const HostValues& inputs = {}) {
  auto result = interpret({tensor}, inputs);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? (*result)[0] : HostValue{};
}

class ProgramRunner {
 public:
  // Values of donated inputs by name; runs replace them.
  HostValues state;

  // Returns the outputs that are not donated.
  HostValues run(const Program& program, const HostValues& inputs = {}) {
    HostValues all = inputs;
    all.insert(state.begin(), state.end());
    std::vector<Tensor> tensors;
    for (const ProgramOutput& output : program.outputs) tensors.push_back(output.value);
    auto results = interpret(tensors, all);
    EXPECT_TRUE(results.ok()) << (results.ok() ? "" : results.error().message);
    HostValues outputs;
    if (!results.ok()) return outputs;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const ProgramOutput& output = program.outputs[i];
      (output.donated ? state : outputs)[output.name] = std::move((*results)[i]);
    }
    return outputs;
  }
};

}  // namespace ito
