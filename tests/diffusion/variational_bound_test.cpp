#include "diffusion/variational_bound.h"

#include <cmath>
#include <numbers>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

NoiseSchedule small_schedule(int T, const char* name = "linear") {
  SchedulerConfig config;
  config.num_train_timesteps = T;
  config.beta_schedule = name;
  config.beta_start = 0.1 / T;
  config.beta_end = 5.0 / (T + 5);
  return make_schedule(config, Arithmetic::kDouble).value();
}

TEST(DiscretisedGaussian, ProbabilitiesOfAllBytesSumToOne) {
  Graph graph;
  Values bytes, means, log_stds;
  const std::vector<std::pair<double, double>> gaussians = {
      {0, 0.05}, {-0.98, 0.02}, {1.1, 0.3}, {0.4, 0.005}};
  for (const auto& [mean, std] : gaussians)
    for (int b = 0; b < 256; ++b) {
      bytes.push_back(b / 127.5 - 1);
      means.push_back(mean);
      log_stds.push_back(std::log(std));
    }
  const Shape shape{static_cast<int64_t>(bytes.size())};
  const auto of = [&](DecoderCdf cdf) {
    return discretised_gaussian_log_likelihood(constant(graph, shape, bytes),
                                               constant(graph, shape, means),
                                               constant(graph, shape, log_stds), cdf);
  };
  for (const HostValue& value : evaluate({of(DecoderCdf::kTanh), of(DecoderCdf::kErf)})) {
    for (size_t k = 0; k < gaussians.size(); ++k) {
      double sum = 0;
      for (size_t b = 0; b < 256; ++b) sum += std::exp(value.data[k * 256 + b]);
      // 256 floors of 1e-12, and the error function's 1.2e-7.
      EXPECT_NEAR(sum, 1, 3e-7) << k;
    }
  }
}

TEST(DiscretisedGaussian, ExactFormIsTheDifferenceOfErrorFunctionsFarIntoTheTails) {
  Graph graph;
  Values x, expected;
  constexpr double kStd = 0.1, kMean = -0.2, kBin = 1.0 / 255;
  for (int b = 1; b < 255; ++b) {
    const double value = b / 127.5 - 1, u = std::abs(value - kMean);
    x.push_back(value);
    const auto upper_tail = [&](double at) {
      return 0.5 * std::erfc(at / kStd / std::numbers::sqrt2);
    };
    expected.push_back(std::log(std::max(upper_tail(u - kBin) - upper_tail(u + kBin), 1e-12)));
  }
  const Shape shape{static_cast<int64_t>(x.size())};
  const auto found = test::evaluate_one(
      discretised_gaussian_log_likelihood(constant(graph, shape, x), full(graph, shape, kMean),
                                          full(graph, shape, std::log(kStd)), DecoderCdf::kErf));
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-5) << x[i];
}

// Data N(μ, s²) at the points μ ± s, ε = ±1: means of squares over them are those of the Gaussians.
struct Gaussian {
  double mu = 0.1, s = 0.4;
};
struct Points {
  Tensor x0;
  TrainingDraw draw;
  int64_t count = 0;
};
Points points(Graph& graph, const Gaussian& data, int T) {
  Values x0, noise, t;
  for (int step = 0; step < T; ++step)
    for (int k = 0; k < 4; ++k) {
      t.push_back(step);
      x0.push_back(data.mu + (k % 2 ? -data.s : data.s));
      noise.push_back(k < 2 ? 1 : -1);
    }
  const int64_t n = static_cast<int64_t>(x0.size());
  return {.x0 = constant(graph, {n, 1}, x0),
          .draw = {.timestep = constant(graph, {n}, t, DType::kU32),
                   .noise = constant(graph, {n, 1}, noise)},
          .count = n};
}
// The exact ε, and the exact variance of x_{t-1} given x_t, of the Gaussian.
Denoiser exact_model(const NoiseSchedule& schedule, const Gaussian& data) {
  return [schedule, data](Tensor x, Tensor t) {
    Values table;
    for (int i = 0; i < schedule.num_timesteps(); ++i) {
      const double product = schedule.alpha_bar(i), rest = 1 - product;
      const double total = product * data.s * data.s + rest;
      const double of_x0 = data.s * data.s * rest / total;  // variance of x_0 given x_t
      const Posterior q = posterior(schedule, i, i - 1);
      table.insert(table.end(),
                   {std::sqrt(rest) / total, std::sqrt(rest) / total * std::sqrt(product) * data.mu,
                    q.variance + q.on_x0 * q.on_x0 * of_x0});
    }
    const Tensor rows =
        gather(constant(x.graph(), {schedule.num_timesteps(), 3}, table), cast(t, DType::kU32));
    const auto column = [&](int64_t i) { return slice_axis(rows, 1, i, i + 1); };
    return concat({column(0) * x - column(1), column(2)}, 1);
  };
}

// With the exact reverse chain the rate L_T + Σ L_t, t >= 1, is what x_1 tells of x_0, ½ ln(1 + s²
// SNR), and what the prior is off q(x_T) (the chain rule of relative entropies): no term of it is
// looked at.
TEST(VariationalBound, RateOfGaussianDataIsTheInformationInTheFirstStep) {
  const Gaussian data;
  for (const char* name : {"linear", "squaredcos_cap_v2"}) {
    constexpr int T = 40;
    const NoiseSchedule schedule = small_schedule(T, name);
    Graph graph;
    const Points at = points(graph, data, T);
    const auto values = evaluate({bound_terms(at.x0, at.draw, schedule, exact_model(schedule, data),
                                              {.variance = VarianceType::kLearned})
                                      .bits,
                                  bound_prior(at.x0, schedule)});
    double rate = 0;
    for (size_t i = 4; i < values[0].data.size(); ++i) rate += values[0].data[i] / 4;
    for (size_t i = 0; i < 4; ++i) rate += values[1].data[i] / 4;
    const double last = schedule.alpha_bar(T - 1), first = schedule.alpha_bar(0);
    const double excess = last * (data.s * data.s - 1);
    const double mismatch = 0.5 * (last * data.mu * data.mu + excess - std::log1p(excess));
    const double information = 0.5 * std::log1p(data.s * data.s * first / (1 - first));
    EXPECT_NEAR(rate, (information + mismatch) * std::numbers::log2e, 1e-9) << name;
  }
}

// KL of two Gaussians as the definition has it, for the fixed variances.
TEST(VariationalBound, FixedVariancesGiveTheDefinitionsTerms) {
  constexpr int T = 10;
  const NoiseSchedule schedule = small_schedule(T);
  Graph graph;
  const Points at = points(graph, {}, T);
  const Denoiser off = [](Tensor x, Tensor) { return tanh(x * 0.5) + 0.1; };
  for (const VarianceType type : {VarianceType::kFixedSmall, VarianceType::kFixedLarge}) {
    const auto terms = bound_terms(at.x0, at.draw, schedule, off, {.variance = type, .clip = true});
    const auto values = evaluate({terms.bits, at.x0, at.draw.noise});
    for (size_t i = 4; i < values[0].data.size(); ++i) {
      const int t = static_cast<int>(i / 4);
      const double a = std::sqrt(schedule.alpha_bar(t)), s = std::sqrt(1 - schedule.alpha_bar(t));
      const double x0 = values[1].data[i], x = a * x0 + s * values[2].data[i];
      const double guess = std::clamp((x - s * (std::tanh(x * 0.5) + 0.1)) / a, -1.0, 1.0);
      const Posterior q = posterior(schedule, t, t - 1);
      const double variance = type == VarianceType::kFixedSmall ? q.variance : q.beta;
      const double shift = q.on_x0 * (x0 - guess);
      const double nats =
          0.5 * (std::log(variance / q.variance) + (q.variance + shift * shift) / variance - 1);
      EXPECT_NEAR(values[0].data[i], nats * std::numbers::log2e, 1e-9);
    }
  }
}

TEST(HybridLoss, TheBoundMovesOnlyTheVariance) {
  constexpr int T = 6;
  const NoiseSchedule schedule = small_schedule(T);
  Graph graph;
  const Points at = points(graph, {}, T);
  Values numbers, shares;
  for (int64_t i = 0; i < at.count; ++i) {
    numbers.push_back(std::sin(static_cast<double>(i) * 1.3));
    shares.push_back(0.7 * std::cos(static_cast<double>(i) * 0.9));
  }
  const Tensor epsilon = constant(graph, {at.count, 1}, numbers);
  const Tensor v = constant(graph, {at.count, 1}, shares);
  const auto loss = [&](Tensor share) {
    const Denoiser model = [=](Tensor, Tensor) { return concat({epsilon, share}, 1); };
    return hybrid_loss(at.x0, at.draw, schedule, model, {.variance = VarianceType::kLearnedRange},
                       0.3);
  };
  const BoundLoss hybrid = loss(v);
  const Tensor simple =
      denoising_loss(at.x0, at.draw, schedule, [=](Tensor, Tensor) { return epsilon; }).loss;
  const std::vector<Tensor> gradients = grad(hybrid.loss, {epsilon, v});
  constexpr double kStep = 1e-5;
  const auto values = evaluate({gradients[0], grad(simple, {epsilon})[0], gradients[1],
                                loss(v + kStep).per_image, loss(v - kStep).per_image});
  double largest = 0;
  for (size_t i = 0; i < values[0].data.size(); ++i) {
    EXPECT_NEAR(values[0].data[i], values[1].data[i], 1e-12);
    const double slope = (values[3].data[i] - values[4].data[i]) / (2 * kStep);
    EXPECT_NEAR(values[2].data[i], slope / static_cast<double>(at.count), 1e-7);
    largest = std::max(largest, std::abs(values[2].data[i]));
  }
  EXPECT_GT(largest, 1e-3);
}

}  // namespace
}  // namespace ito
