// Every gradient, first and second order, against finite differences of the interpreter.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/graph/op_cases.h"

namespace ito {
namespace {

using test::OpCase;
using test::Values;

HostValue evaluate(Tensor x, const Values& values) {
  Result<std::vector<HostValue>> result = interpret({x}, values);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return std::move((*result)[0]);
}

// A fixed weighting of all elements, so that no error cancels.
Tensor weighted_sum(Tensor x, uint32_t seed) {
  std::mt19937 rng(seed);
  HostValue weights = test::random_value(x.shape(), 0.5, 1.5, rng);
  return sum_all(x * constant(x.graph(), x.shape(), weights.data));
}

// Five-point central difference of the scalar `loss` by every element of the inputs, against
// `gradients`. The step balances truncation (h^4) and rounding (1e-16 / h) near 1e-11.
void expect_gradient(Tensor loss, const std::vector<Tensor>& inputs,
                     const std::vector<Tensor>& gradients, const Values& values,
                     const std::string& title) {
  constexpr double kStep = 1e-3, kTolerance = 1e-6;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = test::operand_name(i);
    HostValue exact = evaluate(gradients[i], values);
    Values moved = values;
    for (size_t e = 0; e < exact.data.size(); ++e) {
      auto at = [&](double steps) {
        moved[name].data[e] = values.at(name).data[e] + steps * kStep;
        return evaluate(loss, moved).data[0];
      };
      double difference = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * kStep);
      at(0);
      double scale = std::max(1.0, std::fabs(difference));
      ASSERT_NEAR(exact.data[e], difference, kTolerance * scale)
          << title << ": d/d" << name << "[" << e << "]";
    }
  }
}

TEST(Gradient, EveryOpMatchesFiniteDifferences) {
  for (const OpCase& c : test::op_cases()) {
    if (!c.smooth) continue;
    Graph graph;
    std::vector<Tensor> inputs;
    Tensor loss = weighted_sum(test::build_case(graph, c, &inputs), 1);
    std::vector<Tensor> gradients = grad(loss, inputs);
    ASSERT_TRUE(verify(graph).ok()) << c.name << ": " << verify(graph).error().message;
    expect_gradient(loss, inputs, gradients, test::random_operands(c, 2), c.name);
  }
}

TEST(Gradient, EveryOpsGradientHasARightGradient) {
  for (const OpCase& c : test::op_cases()) {
    if (!c.smooth) continue;
    Graph graph;
    std::vector<Tensor> inputs;
    Tensor loss = weighted_sum(test::build_case(graph, c, &inputs), 3);
    std::vector<Tensor> first = grad(loss, inputs);
    Tensor second_loss = scalar(graph, 0);
    for (size_t i = 0; i < first.size(); ++i)
      second_loss = second_loss + weighted_sum(square(first[i]), 10 + static_cast<uint32_t>(i));
    std::vector<Tensor> second = grad(second_loss, inputs);
    ASSERT_TRUE(verify(graph).ok()) << c.name << ": " << verify(graph).error().message;
    expect_gradient(second_loss, inputs, second, test::random_operands(c, 4), c.name);
  }
}

TEST(Gradient, ThirdOrderOfAConvolutionNetworkIsRight) {
  Graph graph;
  Tensor x = input(graph, "x0", {1, 3, 3, 2});
  Tensor w = input(graph, "x1", {3, 3, 2, 2});
  Tensor gamma = full(graph, {2}, 1.25), beta = full(graph, {2}, 0.5);
  Tensor h = silu(group_norm(conv2d(x, w, {.pad = {1, 1, 1, 1}}), gamma, beta, 1, 1e-2));
  Tensor first = grad(weighted_sum(h, 5), {x})[0];
  Tensor second = grad(weighted_sum(square(first), 6), {x})[0];
  Tensor loss = weighted_sum(square(second), 7) * 1e-2;
  std::mt19937 rng(8);
  Values values = {{"x0", test::random_value(x.shape(), -1, 1, rng)},
                   {"x1", test::random_value(w.shape(), -1, 1, rng)}};
  expect_gradient(loss, {x, w}, grad(loss, {x, w}), values, "third order");
}

// What attention's gradient is told may be a reshape of what a linear map gave, through which the
// simplification of its decomposition sees.
TEST(Gradient, SecondOrderOfAttentionBetweenLinearMapsIsRight) {
  Graph graph;
  const Tensor x = input(graph, "x0", {2, 3, 2}), wq = input(graph, "x1", {2, 2});
  const Tensor wv = input(graph, "x2", {2, 2}), out = input(graph, "x3", {2, 2});
  const Tensor y = linear(attention(linear(x, wq), x, linear(x, wv), 1, 0.7), out);
  const Tensor first = grad(weighted_sum(y, 5), {x})[0];
  const Tensor loss = weighted_sum(square(first), 6);
  std::mt19937 rng(8);
  Values values;
  const std::vector<Tensor> inputs = {x, wq, wv, out};
  for (size_t i = 0; i < inputs.size(); ++i)
    values[test::operand_name(i)] = test::random_value(inputs[i].shape(), -1, 1, rng);
  expect_gradient(loss, inputs, grad(loss, inputs), values, "attention between linear maps");
  const Tensor third = weighted_sum(square(grad(loss, {x})[0]), 7) * 1e-2;
  expect_gradient(third, inputs, grad(third, inputs), values, "its third order");
}

// --- conventions at points where the derivative is a choice -----------------------------------

std::vector<double> gradient_at(Tensor (*fn)(Tensor), std::vector<double> at) {
  Graph graph;
  Tensor x = input(graph, "x", {static_cast<int64_t>(at.size())});
  return evaluate(grad(fn(x), {x})[0], {{"x", {x.shape(), at}}}).data;
}

TEST(Gradient, KinksFollowPyTorch) {
  using V = std::vector<double>;
  EXPECT_EQ(gradient_at(abs, {0, 2, -2}), (V{0, 1, -1}));
  EXPECT_EQ(gradient_at(relu, {0, 2, -2}), (V{0, 1, 0}));
  auto clamp_unit = [](Tensor x) { return clamp(x, -1, 1); };
  EXPECT_EQ(gradient_at(clamp_unit, {-1, 1, 0, 2}), (V{1, 1, 1, 0}));
  auto largest = [](Tensor x) { return max(x, {0}); };
  EXPECT_EQ(gradient_at(largest, {3, 1, 3, 2}), (V{0.5, 0, 0.5, 0}));
  auto against_one = [](Tensor x) { return maximum(x, full(x.graph(), x.shape(), 1)); };
  EXPECT_EQ(gradient_at(against_one, {1, 0, 2}), (V{0.5, 0, 1}));
  EXPECT_EQ(gradient_at(softplus, {0}), V{0.5});
}

TEST(Gradient, SoftplusIsSmoothAtZero) {
  auto curvature = [](Tensor x) { return grad(softplus(x), {x})[0]; };
  EXPECT_DOUBLE_EQ(gradient_at(curvature, {0})[0], 0.25);
}

TEST(Gradient, LargeArgumentsGiveFiniteGradients) {
  for (auto fn : {softplus, sigmoid, silu, tanh, gelu, gelu_tanh})
    for (double d : gradient_at(fn, {-700, -100, 100, 700})) EXPECT_TRUE(std::isfinite(d));
}

TEST(Gradient, StopGradientCutsThePath) {
  auto fn = [](Tensor x) { return x * stop_gradient(x); };
  EXPECT_EQ(gradient_at(fn, {3}), std::vector<double>{3});
}

TEST(Gradient, IsZeroFilledWhereThereIsNoPath) {
  Graph graph;
  Tensor x = input(graph, "x", {2}), y = input(graph, "y", {3});
  std::vector<Tensor> gradients = grad(sum_all(x), {x, y});
  EXPECT_EQ(gradients[1], full(graph, {3}, 0));
}

TEST(Gradient, ByAnIntermediateValueIsThatValuesTotalDerivative) {
  Graph graph;
  Tensor x = input(graph, "x", {1});
  Tensor y = x * 3.0;
  Tensor loss = y * y + x;
  std::vector<Tensor> gradients = grad(loss, {x, y});
  Values values = {{"x", {{1}, {2}}}};
  EXPECT_EQ(evaluate(gradients[0], values).data[0], 2 * 6 * 3 + 1);
  EXPECT_EQ(evaluate(gradients[1], values).data[0], 2 * 6);
}

TEST(Gradient, OfANonScalarLossIsThatOfItsSum) {
  EXPECT_EQ(gradient_at(square, {1, 2}), (std::vector<double>{2, 4}));
}

TEST(Gradient, OfGroupNormReusesTheForwardStatistics) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 4, 4, 8});
  Tensor gamma = input(graph, "gamma", {8}), beta = input(graph, "beta", {8});
  Tensor y = group_norm(x, gamma, beta, 2, 1e-5);
  const std::vector<Tensor> operands = {x, gamma, beta};
  ASSERT_TRUE(op_def(Op::kGroupNorm).decompose(y, operands));
  auto count_rsqrt = [&] {
    int count = 0;
    for (NodeId id = 0; id < graph.size(); ++id) count += graph.node(id).op == Op::kRsqrt;
    return count;
  };
  EXPECT_EQ(count_rsqrt(), 1);
  grad(sum_all(square(y)), {x, gamma, beta});
  EXPECT_EQ(count_rsqrt(), 1);
}

}  // namespace
}  // namespace ito
