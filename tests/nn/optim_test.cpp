// Optimisers against PyTorch's update rules (torch.optim documentation) computed here in double.
#include "nn/optim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "program_runner.h"

namespace ito {
namespace {

constexpr int kSteps = 6;
const std::vector<double> kStart = {0.5, -1.25, 2.0, 0.0};

// Any gradients will do: those of a drifting quadratic, so that they depend on the parameters.
double gradient_at(double p, int k, size_t i) { return p + std::sin(1.0 + 2.0 * k + 3.0 * i); }

struct Scalar {
  double p, m = 0, v = 0;
};

// Runs the graph for kSteps updates and the rule beside it, and compares after every one.
template <typename Rule>
void expect_rule(const Optimizer& optimizer, Rule rule) {
  const Shape shape{static_cast<int64_t>(kStart.size())};
  ProgramRunner runner;
  runner.state["p"] = host_value(shape, kStart);
  runner.state["m"] = runner.state["v"] = host_value(shape, std::vector<double>(kStart.size()));
  std::vector<Scalar> expected;
  for (double p : kStart) expected.push_back({p});
  Program program;
  Graph& graph = *program.graph;
  const OptimizerState state{.parameters = input(graph, "p", shape),
                             .first_moment = input(graph, "m", shape),
                             .second_moment = input(graph, "v", shape)};
  const Tensor counter = input(graph, "counter", {}, DType::kU32);
  const OptimizerState next =
      optimizer_step(optimizer, state, input(graph, "g", shape),
                     learning_rate(optimizer.learning_rate, counter), counter);
  program.update(state.parameters, next.parameters);
  if (optimizer.has_first_moment()) program.update(state.first_moment, next.first_moment);
  if (optimizer.has_second_moment()) program.update(state.second_moment, next.second_moment);
  for (int k = 0; k < kSteps; ++k) {
    std::vector<double> g;
    for (size_t i = 0; i < kStart.size(); ++i) g.push_back(gradient_at(expected[i].p, k, i));
    runner.run(program, {{"g", host_value(shape, g)}, {"counter", host_scalar(1.0 * k)}});
    for (size_t i = 0; i < kStart.size(); ++i) {
      rule(expected[i], g[i], k);
      // The interpreter computes in double, but the series of bias_correction is good to 1e-8.
      EXPECT_NEAR(runner.state["p"].data[i], expected[i].p, 1e-7) << "step " << k << " at " << i;
    }
  }
}

Optimizer with_rate(Optimizer::Kind kind, double rate) {
  Optimizer optimizer;
  optimizer.kind = kind;
  optimizer.learning_rate.base = rate;
  return optimizer;
}

TEST(AdamW, FollowsPyTorch) {
  Optimizer optimizer = with_rate(Optimizer::Kind::kAdamW, 0.02);
  optimizer.weight_decay = 0.1;
  expect_rule(optimizer, [](Scalar& s, double g, int k) {
    s.p -= 0.02 * 0.1 * s.p;
    s.m = 0.9 * s.m + 0.1 * g;
    s.v = 0.999 * s.v + 0.001 * g * g;
    const double c1 = 1 - std::pow(0.9, k + 1), c2 = 1 - std::pow(0.999, k + 1);
    s.p -= 0.02 / c1 * s.m / (std::sqrt(s.v) / std::sqrt(c2) + 1e-8);
  });
}

TEST(AdamW, FirstStepMovesByTheRateAgainstTheSign) {
  Optimizer optimizer = with_rate(Optimizer::Kind::kAdamW, 0.02);
  expect_rule(optimizer, [p1 = std::vector<double>()](Scalar& s, double g, int k) {
    if (k == 0) s.p -= 0.02 * g / (std::abs(g) + 1e-8);
    s.m = 0.9 * s.m + 0.1 * g;
    s.v = 0.999 * s.v + 0.001 * g * g;
    if (k == 0) return;
    s.p -= 0.02 / (1 - std::pow(0.9, k + 1)) * s.m /
           (std::sqrt(s.v / (1 - std::pow(0.999, k + 1))) + 1e-8);
  });
}

TEST(Adam, AddsWeightDecayToTheGradient) {
  Optimizer optimizer = with_rate(Optimizer::Kind::kAdam, 0.05);
  optimizer.weight_decay = 0.3;
  optimizer.beta1 = 0.5;
  optimizer.beta2 = 0.9;
  optimizer.eps = 1e-3;
  expect_rule(optimizer, [](Scalar& s, double g, int k) {
    g += 0.3 * s.p;
    s.m = 0.5 * s.m + 0.5 * g;
    s.v = 0.9 * s.v + 0.1 * g * g;
    const double c1 = 1 - std::pow(0.5, k + 1), c2 = 1 - std::pow(0.9, k + 1);
    s.p -= 0.05 / c1 * s.m / (std::sqrt(s.v) / std::sqrt(c2) + 1e-3);
  });
}

TEST(Sgd, WithoutMomentum) {
  Optimizer optimizer = with_rate(Optimizer::Kind::kSgd, 0.1);
  optimizer.weight_decay = 0.2;
  expect_rule(optimizer, [](Scalar& s, double g, int) { s.p -= 0.1 * (g + 0.2 * s.p); });
}

TEST(Sgd, MomentumBufferStartsAtTheFirstGradient) {
  Optimizer optimizer = with_rate(Optimizer::Kind::kSgd, 0.1);
  optimizer.momentum = 0.9;
  expect_rule(optimizer, [](Scalar& s, double g, int k) {
    s.m = k == 0 ? g : 0.9 * s.m + g;
    s.p -= 0.1 * s.m;
  });
}

TEST(Sgd, Nesterov) {
  Optimizer optimizer = with_rate(Optimizer::Kind::kSgd, 0.1);
  optimizer.momentum = 0.9;
  optimizer.nesterov = true;
  expect_rule(optimizer, [](Scalar& s, double g, int k) {
    s.m = k == 0 ? g : 0.9 * s.m + g;
    s.p -= 0.1 * (g + 0.9 * s.m);
  });
}

// The value of a function of the counter.
template <typename F>
double at(int64_t k, F function) {
  Graph graph;
  const Tensor counter = input(graph, "counter", {}, DType::kU32);
  return evaluate(function(counter), {{"counter", host_scalar(1.0 * k)}}).data[0];
}

TEST(BiasCorrection, IsAccurateNearOne) {
  for (double beta : {0.5, 0.9, 0.999, 0.9999}) {
    for (int64_t k : {0, 1, 10, 98, 99, 100, 1000, 100000}) {
      const double exact = -std::expm1((k + 1.0) * std::log(beta));
      EXPECT_NEAR(at(k, [&](Tensor c) { return bias_correction(beta, c); }) / exact, 1, 1e-7)
          << beta << " after " << k;
    }
  }
  EXPECT_EQ(at(0, [](Tensor c) { return bias_correction(0, c); }), 1);
}

TEST(LearningRate, WarmsUpLinearlyAndStays) {
  const LearningRate schedule{.base = 2e-3, .warmup_steps = 100};
  const auto rate = [&](int64_t k) {
    return at(k, [&](Tensor c) { return learning_rate(schedule, c); });
  };
  EXPECT_NEAR(rate(0), 2e-5, 1e-12);
  EXPECT_NEAR(rate(49), 1e-3, 1e-12);
  EXPECT_NEAR(rate(99), 2e-3, 1e-12);
  EXPECT_NEAR(rate(5000), 2e-3, 1e-12);
}

TEST(LearningRate, CosineFallsToItsFinalFraction) {
  const LearningRate schedule{.base = 1,
                              .warmup_steps = 10,
                              .decay = LearningRate::Decay::kCosine,
                              .total_steps = 110,
                              .final_fraction = 0.1};
  const auto rate = [&](int64_t k) {
    return at(k, [&](Tensor c) { return learning_rate(schedule, c); });
  };
  EXPECT_NEAR(rate(10), 1, 1e-12);
  EXPECT_NEAR(rate(35), 0.1 + 0.9 * 0.5 * (1 + std::cos(std::numbers::pi / 4)), 1e-12);
  EXPECT_NEAR(rate(60), 0.55, 1e-12);
  EXPECT_NEAR(rate(110), 0.1, 1e-12);
  EXPECT_NEAR(rate(1000), 0.1, 1e-12);
}

TEST(LearningRate, LinearFall) {
  const LearningRate schedule{.base = 4, .decay = LearningRate::Decay::kLinear, .total_steps = 8};
  EXPECT_NEAR(at(2, [&](Tensor c) { return learning_rate(schedule, c); }), 3, 1e-12);
  EXPECT_NEAR(at(9, [&](Tensor c) { return learning_rate(schedule, c); }), 0, 1e-12);
}

TEST(LearningRate, InverseRootFallsFromItsFirstStepOn) {
  const LearningRate schedule{
      .base = 2, .warmup_steps = 4, .decay = LearningRate::Decay::kInverseSqrt, .total_steps = 9};
  const auto rate = [&](int64_t k) {
    return at(k, [&](Tensor c) { return learning_rate(schedule, c); });
  };
  EXPECT_NEAR(rate(1), 1, 1e-12);  // the warm-up
  for (const int64_t k : {3, 8}) EXPECT_NEAR(rate(k), 2, 1e-12);
  EXPECT_NEAR(rate(35), 1, 1e-12);  // a quarter of 36
  EXPECT_NEAR(rate(899), 0.2, 1e-12);
}

TEST(AverageDecay, OfEachKind) {
  using Kind = Average::Kind;
  const auto decay = [](const Average& average, int64_t k) {
    return at(k, [&](Tensor c) { return average_decay(average, c); });
  };
  EXPECT_NEAR(decay({.kind = Kind::kConstant, .decay = 0.99}, 0), 0.99, 1e-12);
  EXPECT_NEAR(decay({.kind = Kind::kWarmup, .decay = 0.999}, 0), 0.1, 1e-12);
  EXPECT_NEAR(decay({.kind = Kind::kWarmup, .decay = 0.999}, 90), 0.91, 1e-12);
  EXPECT_NEAR(decay({.kind = Kind::kWarmup, .decay = 0.999}, 20000), 0.999, 1e-12);
  const Average inverse{.kind = Kind::kInversePower, .decay = 0.99, .inv_gamma = 2, .power = 0.75};
  EXPECT_NEAR(decay(inverse, 0), 0, 1e-12);
  EXPECT_NEAR(decay(inverse, 30), 1 - std::pow(16, -0.75), 1e-12);
  EXPECT_NEAR(decay(inverse, 100000), 0.99, 1e-12);
}

TEST(Clipping, ScalesOnlyLongGradients) {
  Graph graph;
  const Tensor g = input(graph, "g", Shape{2});
  const Tensor norm = global_norm(g);
  const Tensor clipped = clip_by_norm(g, norm, 1);
  const HostValues longer = {{"g", host_value(Shape{2}, std::vector<double>{3, -4})}};
  EXPECT_NEAR(evaluate(norm, longer).data[0], 5, 1e-12);
  EXPECT_NEAR(evaluate(clipped, longer).data[1], -4 / (5 + 1e-6), 1e-12);
  const HostValues shorter = {{"g", host_value(Shape{2}, std::vector<double>{0.3, -0.4})}};
  EXPECT_NEAR(evaluate(clipped, shorter).data[0], 0.3, 1e-12);
}

TEST(CheckOptimizer, NamesTheField) {
  const auto message = [](auto spoil) {
    Optimizer optimizer;
    spoil(optimizer);
    const Status status = check_optimizer(optimizer);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(message([](Optimizer&) {}), "");
  EXPECT_NE(message([](Optimizer& o) { o.beta2 = 1; }).find("beta2"), std::string::npos);
  EXPECT_NE(message([](Optimizer& o) { o.learning_rate.base = -1; }).find("learning rate"),
            std::string::npos);
  EXPECT_NE(message([](Optimizer& o) {
              o.learning_rate.decay = LearningRate::Decay::kCosine;
            }).find("total_steps"),
            std::string::npos);
  EXPECT_NE(message([](Optimizer& o) { o.average.decay = 1.5; }).find("EMA decay"),
            std::string::npos);
  EXPECT_NE(message([](Optimizer& o) { o.eps = std::nan(""); }).find("eps"), std::string::npos);
}

}  // namespace
}  // namespace ito
