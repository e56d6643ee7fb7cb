// Evaluates tensors of a graph without inputs in double precision, and the counters that draws on
// the device are made of. For tests of this room.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito::test {

inline std::vector<HostValue> evaluate(const std::vector<Tensor>& tensors) {
  auto values = interpret(tensors, {});
  EXPECT_TRUE(values.ok()) << (values.ok() ? "" : values.error().message);
  return std::move(values).value();
}

inline std::vector<double> evaluate_one(Tensor tensor) { return evaluate({tensor})[0].data; }

// A random key, the images first .. first + n - 1 of a batch, and a step.
struct Draws {
  Tensor key, image, step;
};
inline Draws draws(Graph& graph, int64_t n, int64_t first = 0, double step = 11) {
  std::vector<double> images;
  for (int64_t i = 0; i < n; ++i) images.push_back(static_cast<double>(first + i));
  return {constant(graph, {2}, {3, 5}, DType::kU32), constant(graph, {n}, images, DType::kU32),
          scalar(graph, step, DType::kU32)};
}

}  // namespace ito::test
