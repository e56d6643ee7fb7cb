// A network on the interpreter whose weights and sample are sines, so that a script in PyTorch
// (tests/golden/*.py) has the same ones and prints what output and gradients should be. Only for
// tests of nn.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nn/network.h"
#include "program_runner.h"

namespace ito {

// What is printed of many numbers: the Euclidean norm, and the product with cos(0), cos(1), …
struct Summary {
  double norm, dot;
};
inline Summary summary_of(const std::vector<double>& values) {
  double squares = 0, dot = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    squares += values[i] * values[i];
    dot += values[i] * std::cos(static_cast<double>(i));
  }
  return {std::sqrt(squares), dot};
}

// Element i of the k-th tensor, by name and in PyTorch's layout, is 0.3 sin(0.7 i + 1.3 k), and
// that of the sample sin(1.1 i).
struct SineNetwork {
  Network network;
  Graph graph;
  Tensor flat, y;
  HostValues inputs;

  SineNetwork(Network of, const Shape& shape, std::vector<double> t, std::vector<double> labels)
      : network(std::move(of)) {
    const ParameterSet& set = network.set();
    std::vector<double> weights(static_cast<size_t>(set.size())), x;
    double phase = 0;
    for (const Parameter* parameter : sorted()) {
      for_each_element(parameter->spec, [&](int64_t internal, int64_t foreign) {
        weights[static_cast<size_t>(parameter->offset + internal)] =
            0.3 * std::sin(0.7 * static_cast<double>(foreign) + phase);
      });
      phase += 1.3;
    }
    for (int64_t i = 0; i < shape.numel(); ++i) x.push_back(std::sin(1.1 * static_cast<double>(i)));
    inputs = {{"params", {{set.size()}, weights}}, {"x", {shape, x}}, {"t", {{shape[0]}, t}}};
    flat = input(graph, "params", {set.size()});
    const Conditioning given = conditioning_inputs(graph, network.signature(), shape[0]);
    if (given.classes) inputs["labels"] = {{shape[0]}, std::move(labels)};
    y = network.build(flat, input(graph, "x", shape), input(graph, "t", {shape[0]}), given);
  }

  // The gradient of the mean square, in PyTorch's layout and order of names.
  std::vector<double> gradient() {
    const HostValue value =
        evaluate(flat_gradient(network.set(), flat, mean_all(square(y))), inputs);
    std::vector<double> foreign;
    for (const Parameter* parameter : sorted()) {
      std::vector<double> own(static_cast<size_t>(parameter->numel()));
      for_each_element(parameter->spec, [&](int64_t internal, int64_t at) {
        own[static_cast<size_t>(at)] =
            value.data[static_cast<size_t>(parameter->offset + internal)];
      });
      foreign.insert(foreign.end(), own.begin(), own.end());
    }
    return foreign;
  }

  std::vector<const Parameter*> sorted() const {
    std::map<std::string, const Parameter*> by_name;
    for (const Parameter& parameter : network.set().parameters())
      by_name[parameter.name] = &parameter;
    std::vector<const Parameter*> parameters;
    for (const auto& [name, parameter] : by_name) parameters.push_back(parameter);
    return parameters;
  }
};

// What a script printed.
struct SineValues {
  std::vector<double> first;  // of the output
  Summary output, gradient;
  int64_t weights;
};
// To 1e-9: sums of some thousand products of numbers near 1 in double precision.
inline void expect_values(SineNetwork& found, const SineValues& expected) {
  EXPECT_EQ(found.network.set().count(), expected.weights);
  const std::vector<double> y = evaluate(found.y, found.inputs).data;
  for (size_t i = 0; i < expected.first.size(); ++i) EXPECT_NEAR(y[i], expected.first[i], 1e-9);
  const Summary output = summary_of(y), gradient = summary_of(found.gradient());
  EXPECT_NEAR(output.norm, expected.output.norm, 1e-9);
  EXPECT_NEAR(output.dot, expected.output.dot, 1e-9);
  EXPECT_NEAR(gradient.norm, expected.gradient.norm, 1e-9);
  EXPECT_NEAR(gradient.dot, expected.gradient.dot, 1e-9);
}

}  // namespace ito
