// A small regression, what tests of training programs train: an MLP from two numbers to one, its
// mean squared error, and batches for it.
#pragma once

#include "graph/builder.h"
#include "nn/mlp.h"
#include "nn/train_step.h"
#include "program_runner.h"
#include "torch_random.h"

namespace ito {

inline constexpr int64_t kBatch = 4;

inline LossFunction regression(const MlpConfig& config, int64_t batch = kBatch) {
  return [config, batch](Graph& graph, const Scope& parameters, Tensor) {
    const Tensor x = input(graph, "x", Shape{batch, 2});
    const Tensor y = input(graph, "y", Shape{batch, 1});
    return mean_all(square(mlp(parameters, config, x) - y));
  };
}

inline HostValues batch_inputs(uint32_t seed) {
  TorchRandom random(seed);
  const std::vector<float> values = random.normal(16);
  return {{"x", host_value(Shape{kBatch, 2},
                           std::vector<float>(values.begin(), values.begin() + 2 * kBatch))},
          {"y", host_value(Shape{kBatch, 1},
                           std::vector<float>(values.begin() + 8, values.begin() + 8 + kBatch))}};
}

}  // namespace ito
