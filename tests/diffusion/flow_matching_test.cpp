#include "diffusion/flow_matching.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

constexpr FlowPath kPaths[] = {FlowPath::kLinear, FlowPath::kTrigonometric};
constexpr double kMu = 0.3, kS = 0.5;  // data N(μ, s²)

// E[target | x_t] = k (x_t - a μ) + on_x0 μ.
double exact_slope(const FlowPoint& p) {
  return (p.on_x0 * p.a * kS * kS + p.on_noise * p.s) / (p.a * p.a * kS * kS + p.s * p.s);
}

// At x0 = μ ± s and ε = ±1 the mean of a quadratic loss is its expectation: of the exact velocity
// the target's variance given x_t, and δ² more of one that is off by δ.
TEST(FlowMatching, ExactVelocityOfGaussianDataIsTheMinimum) {
  const Values times = {0.02, 0.3, 0.5, 0.8, 0.99};
  constexpr double kOff = 0.25;
  for (const FlowPath path : kPaths) {
    Graph graph;
    Values x0, noise, t, slope, shift;
    for (const double time : times)
      for (int k = 0; k < 4; ++k) {
        const FlowPoint p = flow_point(path, time);
        t.push_back(time);
        x0.push_back(kMu + (k % 2 ? -kS : kS));
        noise.push_back(k < 2 ? 1 : -1);
        slope.push_back(exact_slope(p));
        shift.push_back(p.on_x0 * kMu - exact_slope(p) * p.a * kMu);
      }
    const int64_t n = static_cast<int64_t>(t.size());
    const FlowOptions options{.path = path, .timesteps = 100};
    const FlowDraw draw{.time = constant(graph, {n}, t), .noise = constant(graph, {n, 1}, noise)};
    Tensor told;
    const auto loss = [&](double off) {
      const Denoiser network = [&, off](Tensor x, Tensor timestep) {
        told = timestep;
        return constant(graph, {n, 1}, slope) * x + constant(graph, {n, 1}, shift) + off;
      };
      return flow_matching_loss(constant(graph, {n, 1}, x0), draw, network, options).per_image;
    };
    const auto values = evaluate({loss(0), loss(kOff), told});
    for (size_t i = 0; i < times.size(); ++i) {
      const FlowPoint p = flow_point(path, times[i]);
      const double variance = p.on_x0 * p.on_x0 * kS * kS + p.on_noise * p.on_noise -
                              exact_slope(p) * (p.on_x0 * p.a * kS * kS + p.on_noise * p.s);
      double exact = 0, off = 0;
      for (size_t k = 0; k < 4; ++k) {
        exact += values[0].data[4 * i + k] / 4;
        off += values[1].data[4 * i + k] / 4;
        // A trigonometric path is a chain whose timestep i lies at time (i + 1/2)/T.
        const double told = times[i] * 100 - (path == FlowPath::kLinear ? 0 : 0.5);
        EXPECT_NEAR(values[2].data[4 * i + k], told, 1e-9);
      }
      EXPECT_NEAR(exact, variance, 1e-12);
      EXPECT_NEAR(off, variance + kOff * kOff, 1e-12);
    }
  }
}

// The target is what moves a point along its path.
TEST(FlowMatching, TargetIsTheTimeDerivativeOfThePath) {
  constexpr double kStep = 1e-5;
  for (const FlowPath path : kPaths) {
    const double unit = path == FlowPath::kLinear ? 1 : std::numbers::pi / 2;
    for (const double t : {0.1, 0.5, 0.9}) {
      const FlowPoint p = flow_point(path, t), after = flow_point(path, t + kStep),
                      before = flow_point(path, t - kStep);
      EXPECT_NEAR(p.on_x0 * unit, (after.a - before.a) / (2 * kStep), 1e-8);
      EXPECT_NEAR(p.on_noise * unit, (after.s - before.s) / (2 * kStep), 1e-8);
    }
  }
}

// Integrated from noise to data, the exact velocity carries N(0, 1) to N(μ, s²): a mean and a
// deviation, since it is linear. Heun's method with 2000 steps.
TEST(FlowMatching, ExactVelocityCarriesNoiseToData) {
  for (const FlowPath path : kPaths) {
    const double unit = path == FlowPath::kLinear ? 1 : std::numbers::pi / 2;
    const auto velocity = [&](double t, double x) {
      const FlowPoint p = flow_point(path, t);
      return unit * (exact_slope(p) * (x - p.a * kMu) + p.on_x0 * kMu);
    };
    Values ends;
    for (double x : {0.0, 1.0}) {
      constexpr int kSteps = 2000;
      for (int i = kSteps; i > 0; --i) {
        const double t = static_cast<double>(i) / kSteps, h = 1.0 / kSteps;
        const double slope = velocity(t, x);
        x -= h / 2 * (slope + velocity(t - h, x - h * slope));
      }
      ends.push_back(x);
    }
    EXPECT_NEAR(ends[0], kMu, 1e-5);
    EXPECT_NEAR(ends[1] - ends[0], kS, 1e-5);
  }
}

TEST(FlowMatching, TrigonometricPathIsTheChainOfItsBetas) {
  constexpr int T = 50;
  SchedulerConfig config;
  config.num_train_timesteps = T;
  config.trained_betas = trigonometric_betas(T);
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  for (int i = 0; i < T; ++i) {
    const double t = (i + 0.5) / T;
    const FlowPoint p = flow_point(FlowPath::kTrigonometric, t);
    EXPECT_NEAR(schedule.alpha_bar(i), p.a * p.a, 1e-12);
  }
}

TEST(FlowMatching, LogitNormalTimesHaveTheirLogitsMoments) {
  constexpr int64_t n = 20000;
  Graph graph;
  const auto [key, image, step] = test::draws(graph, n);
  const FlowOptions options{.times = FlowTimes::kLogitNormal, .mean = -0.5, .std = 0.7};
  const auto t = test::evaluate_one(draw_flow({n, 1}, key, image, step, options).time);
  double sum = 0, squares = 0;
  for (const double each : t) {
    ASSERT_TRUE(each > 0 && each < 1);
    const double logit = std::log(each / (1 - each));
    sum += logit / n;
    squares += logit * logit / n;
  }
  // Four standard errors of a mean and of a variance.
  EXPECT_NEAR(sum, options.mean, 4 * options.std / std::sqrt(n));
  EXPECT_NEAR(squares - sum * sum, options.std * options.std,
              4 * options.std * options.std * std::sqrt(2.0 / n));
}

TEST(FlowMatching, OptionsThatDoNotFitAreNamed) {
  EXPECT_TRUE(check_flow_options({}).ok());
  EXPECT_NE(check_flow_options({.timesteps = 0}).error().message.find("timesteps is 0"),
            std::string::npos);
  EXPECT_FALSE(check_flow_options({.std = -1}).ok());
}

}  // namespace
}  // namespace ito
