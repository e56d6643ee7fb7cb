#include "nn/energy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finite_difference.h"
#include "graph/builder.h"

namespace ito {
namespace {

// tanh(x W) + 0.3, whose Jacobian is not symmetric.
Tensor network(Tensor x, Tensor weight) { return tanh(matmul(x, weight)) + 0.3; }

HostValues inputs() {
  return {{"x", {.shape = {3, 2}, .data = {0.4, -1.1, 0.9, 0.2, -0.5, 0.7}}},
          {"w", {.shape = {2, 2}, .data = {0.6, -0.3, 0.2, 0.9}}},
          {"noise", {.shape = {3, 2}, .data = {0.3, -1, 0.8, 0.1, -0.4, 1.2}}}};
}

TEST(EnergyNetwork, OutputIsMinusTheGradientOfItsScalar) {
  for (const EnergyRow& row : energy_rows()) {
    SCOPED_TRACE(row.name.name);
    Graph graph;
    const Tensor x = input(graph, "x", {3, 2}), w = input(graph, "w", {2, 2});
    const Tensor h = network(x, w);
    expect_gradient(sum_all(energy(row.form, x, h)), -energy_output(row.form, x, h), "x", inputs());
  }
}

// Training: through the gradient once more.
TEST(EnergyNetwork, LossOfItsOutputHasTheParametersGradient) {
  for (const EnergyRow& row : energy_rows()) {
    SCOPED_TRACE(row.name.name);
    Graph graph;
    const Tensor x = input(graph, "x", {3, 2}), w = input(graph, "w", {2, 2});
    const Tensor noise = input(graph, "noise", {3, 2});
    const Tensor loss = mean_all(square(energy_output(row.form, x, network(x, w)) - noise));
    expect_gradient(loss, grad(loss, {w})[0], "w", inputs());
  }
}

// Of h(x) = x/4 the form -½|x - h|² is -(3/4)² x²/2, the log density of a Gaussian.
TEST(EnergyNetwork, ShrinkingAutoencoderIsAGaussian) {
  Graph graph;
  const Tensor x = input(graph, "x", {3, 2});
  const HostValue output = evaluate(energy_output(EnergyForm::kNorm, x, x * 0.25), inputs());
  const HostValues given = inputs();
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(output.data[i], 0.5625 * given.at("x").data[i], 1e-12);
}

}  // namespace
}  // namespace ito
