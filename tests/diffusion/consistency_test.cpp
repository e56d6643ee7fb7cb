#include "diffusion/consistency.h"

#include <cmath>
#include <numeric>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

TEST(Consistency, IsTheIdentityAtTheLowestNoise) {
  Graph graph;
  const ConsistencyScaling scaling{.sigma_data = 0.7, .sigma_min = 0.01};
  const Denoiser any = [](Tensor x, Tensor t) { return sin(x) * 5.0 + per_image(t, 2); };
  const Tensor x = constant(graph, {2, 2}, {0.3, -2, 1, 4});
  const auto values = evaluate({consistency_function(any, scaling)(x, full(graph, {2}, 0.01)), x});
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(values[0].data[i], values[1].data[i], 1e-12);
}

// The tensors' scales are the host's, and those of the paper: c_skip² and c_out² add up, with the
// data's variance, to what an optimal linear estimate leaves.
TEST(Consistency, ScalesOfTensorsAreThoseOfNumbers) {
  Graph graph;
  const ConsistencyScaling scaling;
  const Values sigmas = {0.002, 0.05, 1, 80};
  Tensor given, told;
  const Denoiser network = [&](Tensor x, Tensor t) {
    given = x, told = t;
    return full(x.graph(), x.shape(), 1);
  };
  const Tensor x = full(graph, {4, 1}, 3);
  const Tensor f = consistency_function(network, scaling)(x, constant(graph, {4}, sigmas));
  const auto values = evaluate({f, given, told});
  for (size_t i = 0; i < 4; ++i) {
    const double s = sigmas[i];
    EXPECT_NEAR(values[0].data[i], 3 * scaling.c_skip(s) + scaling.c_out(s), 1e-12);
    EXPECT_NEAR(values[1].data[i], 3 * scaling.c_in(s), 1e-12);
    EXPECT_NEAR(values[2].data[i], scaling.c_noise(s), 1e-9);
    EXPECT_NEAR(scaling.c_in(s), 1 / std::hypot(s, 0.5), 1e-12);
  }
}

TEST(ConsistencySchedule, SpacesItsLevelsAsThePaperDoes) {
  const ConsistencySchedule schedule{.steps = 400000};
  const Values levels = consistency_levels(schedule, 10);
  ASSERT_EQ(levels.size(), 11u);
  EXPECT_EQ(levels.front(), 0.002);
  EXPECT_EQ(levels.back(), 80);
  EXPECT_NEAR(levels[5], std::pow((std::pow(0.002, 1 / 7.0) + std::pow(80, 1 / 7.0)) / 2, 7),
              1e-12);
  const Values p = consistency_probabilities(schedule, 10);
  EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-12);
}

TEST(ConsistencySchedule, DrawsNeighboursWithTheirProbabilities) {
  constexpr int64_t n = 20000;
  const ConsistencySchedule schedule{.first = 3, .last = 10, .steps = 30};
  // Pairs double every K' = 30/(⌊log2(10/3)⌋ + 1) = 15 steps, up to the last.
  for (const auto& [step, pairs] :
       {std::pair{0.0, 3}, {14.0, 3}, {15.0, 6}, {29.0, 6}, {30.0, 10}, {1e6, 10}}) {
    Graph graph;
    const auto [key, image, counter] = test::draws(graph, n, 0, step);
    const ConsistencyDraw draw = draw_consistency({n, 1}, key, image, counter, schedule);
    const auto values = evaluate({draw.low, draw.high});
    const Values levels = consistency_levels(schedule, pairs);
    const Values p = consistency_probabilities(schedule, pairs);
    Values share(p.size(), 0);
    for (size_t i = 0; i < n; ++i) {
      size_t k = 0;
      while (k < p.size() && std::abs(values[0].data[i] - levels[k]) > 1e-9 * levels[k]) ++k;
      ASSERT_LT(k, p.size()) << values[0].data[i];
      ASSERT_NEAR(values[1].data[i], levels[k + 1], 1e-9 * levels[k + 1]);
      share[k] += 1.0 / n;
    }
    for (size_t k = 0; k < p.size(); ++k)  // four standard errors
      EXPECT_NEAR(share[k], p[k], 4 * std::sqrt(p[k] * (1 - p[k]) / n) + 1e-12) << pairs;
  }
}

// For Gaussian data and f linear in x the best f at the higher level, given f at the lower one, is
// one Euler step of the probability flow: slope k_low (1 - (σ_high - σ_low) σ_high/(s² + σ_high²))
// (Song et al. 2023, theorem 2's discretisation). The loss's slope in k_high, a quadrature over the
// data and the noise, vanishes there and grows around it.
TEST(ConsistencyLoss, BestFunctionOfGaussianDataIsAnEulerStepOfTheFlow) {
  constexpr double kS = 0.6, kMu = -0.2, kLow = 0.8, kHigh = 1.0, kSlope = 0.55, kReach = 7;
  constexpr int kCount = 61;
  Values y, z, weight;
  const double h = 2 * kReach / (kCount - 1);
  for (int i = 0; i < kCount; ++i)
    for (int j = 0; j < kCount; ++j) {
      const double u = -kReach + h * i, v = -kReach + h * j;
      y.push_back(kMu + kS * u);
      z.push_back(v);
      weight.push_back(std::exp(-(u * u + v * v) / 2));
    }
  const double best = kSlope * (1 - (kHigh - kLow) * kHigh / (kS * kS + kHigh * kHigh));
  const auto slope_at = [&](double k) {
    Graph graph;
    const int64_t n = static_cast<int64_t>(y.size());
    const Tensor slope = input(graph, "slope", {1, 1});
    const auto linear = [](Tensor scale) -> ConsistencyFunction {
      return [=](Tensor x, Tensor) { return (x - kMu) * scale + kMu; };
    };
    const ConsistencyDraw draw{.low = full(graph, {n}, kLow),
                               .high = full(graph, {n}, kHigh),
                               .noise = constant(graph, {n, 1}, z)};
    // The target's slope is the same tensor plus a constant: no gradient may come through it.
    const TrainingLoss loss = consistency_loss(constant(graph, {n, 1}, y), draw, linear(slope),
                                               linear(slope + (kSlope - k)));
    const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
    const Tensor mean = sum_all(loss.per_image * constant(graph, {n}, weight)) / total;
    return interpret({grad(mean, {slope})[0]}, {{"slope", {.shape = {1, 1}, .data = {k}}}})
        .value()[0]
        .data[0];
  };
  // The distance has a kink of width c = 5e-4, which the quadrature resolves to this.
  EXPECT_NEAR(slope_at(best), 0, 2e-2);
  EXPECT_GT(slope_at(best + 0.05), 0.5);
  EXPECT_LT(slope_at(best - 0.05), -0.5);
}

TEST(ConsistencySchedule, ValuesThatDoNotFitAreNamed) {
  EXPECT_TRUE(check_consistency_schedule({.steps = 1}).ok());
  EXPECT_NE(check_consistency_schedule({.steps = 0}).error().message.find("steps is 0"),
            std::string::npos);
  EXPECT_FALSE(check_consistency_schedule({.first = 20, .last = 10, .steps = 1}).ok());
  EXPECT_FALSE(check_consistency_schedule({.sigma_min = 90, .steps = 1}).ok());
  EXPECT_FALSE(check_consistency_schedule({.rho = 0, .steps = 1}).ok());
}

}  // namespace
}  // namespace ito
