#include "diffusion/ddgan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/samplers.h"
#include "diffusion/sde.h"
#include "graph/builder.h"
#include "tests/diffusion/loop.h"

namespace ito::test {
namespace {

NoiseSchedule schedule_of(int steps) {
  return make_schedule(ddgan_scheduler(steps).value(), Arithmetic::kDouble).value();
}

TEST(Ddgan, ChainHasTheMarginalsOfTheVpSde) {
  const Sde vp{.kind = Sde::Kind::kVp};
  for (int steps : {1, 2, 4, 8}) {
    const NoiseSchedule schedule = schedule_of(steps);
    for (int i = 1; i <= steps; ++i) {
      const double t = 1e-3 + (1 - 1e-3) * i / steps;
      EXPECT_NEAR(std::sqrt(schedule.alpha_bar(i - 1)), vp.mean(t) / vp.mean(1e-3), 1e-12);
    }
  }
}

TEST(Ddgan, RefusesImpossibleChains) {
  EXPECT_FALSE(ddgan_scheduler(0).ok());
  EXPECT_FALSE(ddgan_scheduler(100000).ok());
  EXPECT_FALSE(ddgan_scheduler(4, 3, 1).ok());
}

// Data N(0.5, 0.25²). A generator that draws x_0 from its exact posterior given x_t makes every
// reverse step exact, however large: the samples' moments are the data's, but for the end of the
// chain not being quite N(0, 1). (A generator that gave the posterior's mean would lose variance.)
TEST(Ddgan, ExactGeneratorMakesLargeStepsExact) {
  constexpr double kMean = 0.5, kVariance = 0.0625;
  for (int steps : {1, 2, 4}) {
    const SchedulerConfig config = ddgan_scheduler(steps).value();
    const NoiseSchedule schedule = schedule_of(steps);
    const Solver sampler =
        make_solver("ddpm", config, {.steps = steps, .arithmetic = Arithmetic::kDouble}).value();
    ASSERT_EQ(sampler.steps(), steps);
    // Four "images" read off the affine map of (x, latent, noise).
    const Shape shape{4, 1, 1, 1};
    const Denoiser exact = [&](Tensor x, Tensor t) {
      std::vector<double> table;
      for (int i = 0; i < steps; ++i) {
        const double a2 = schedule.alpha_bar(i), s2 = 1 - a2;
        const double gain = std::sqrt(a2) * kVariance / (a2 * kVariance + s2);
        table.insert(table.end(), {kMean - gain * std::sqrt(a2) * kMean, gain,
                                   std::sqrt(kVariance * s2 / (a2 * kVariance + s2))});
      }
      const Tensor rows = gather(constant(x.graph(), {steps, 3}, table), cast(t, DType::kU32));
      const auto column = [&](int64_t i) { return reshape(slice_axis(rows, 1, i, i + 1), shape); };
      return column(0) + column(1) * x + column(2) * input(x.graph(), "latent", shape);
    };
    const Program program =
        method_program(solver_method(sampler, exact), {.shape = shape, .noise_input = true});
    double mean = 0, variance = 1;
    for (int i = 0; i < steps; ++i) {
      Externals externals{{"x", {shape, {0, 1, 0, 0}}},
                          {"latent", {shape, {0, 0, 1, 0}}},
                          {"noise.0", {shape, {0, 0, 0, 1}}},
                          {"step", scalar_value(i)}};
      replay(program, externals);
      const std::vector<double>& y = externals["x"].data;
      mean = y[0] + (y[1] - y[0]) * mean;
      variance =
          std::pow(y[1] - y[0], 2) * variance + std::pow(y[2] - y[0], 2) + std::pow(y[3] - y[0], 2);
    }
    // What is left of the wrong start: at x_T the true mean is √ᾱ_T μ.
    const double left = std::sqrt(schedule.alpha_bar(steps - 1));
    EXPECT_NEAR(mean, kMean, 1.5 * left) << steps << " steps";
    EXPECT_NEAR(variance, kVariance, 1e-4) << steps << " steps";
  }
}

// D(x', x) = Σ w x' + v x + u: everything about the three losses is known.
class DdganLosses : public ::testing::Test {
 protected:
  DdganLosses() {
    const NoiseSchedule schedule = schedule_of(4);
    const Tensor key = constant(graph, {2}, {3, 4}, DType::kU32);
    const Tensor image = iota(graph, {kImages}, 0);
    draw = draw_ddgan(shape, 2, key, image, scalar(graph, 9, DType::kU32), schedule);
    const Tensor x0 = constant(graph, shape, std::vector<double>(kImages * 3, 0.25));
    const auto discriminator = [&](Tensor weight) -> DdganDiscriminator {
      return [weight](Tensor previous, Tensor x, Tensor t) {
        const Tensor w = reshape(weight, {1, 1, 1, 3});
        return sum(previous * w + x * 0.1, {1, 2, 3}) + 0.01 * t;
      };
    };
    const DdganGenerator generator = [&](Tensor x, Tensor, Tensor z) {
      return x * g + reshape(sum(z, {1}), {kImages, 1, 1, 1}) * 0.1;
    };
    loss = ddgan_loss(x0, draw, schedule, generator, discriminator(d),
                      discriminator(stop_gradient(d)), 2);
  }

  std::vector<double> values(const std::vector<Tensor>& tensors) {
    const auto found = interpret(tensors, {{"d", {{3}, {0.3, -0.6, 0.8}}}, {"g", {{}, {0.7}}}});
    EXPECT_TRUE(found.ok());
    std::vector<double> all;
    for (const HostValue& value : *found)
      all.insert(all.end(), value.data.begin(), value.data.end());
    return all;
  }

  static constexpr int64_t kImages = 5;
  const Shape shape{kImages, 1, 1, 3};
  Graph graph;
  const Tensor d = input(graph, "d", {3}), g = input(graph, "g", {});
  DdganDraw draw;
  DdganLoss loss;
};

TEST_F(DdganLosses, PenaltyIsHalfTheSquaredSlope) {
  EXPECT_NEAR(values({loss.penalty})[0], 0.5 * (0.09 + 0.36 + 0.64), 1e-12);
}

TEST_F(DdganLosses, SumHasEachNetworksOwnGradient) {
  const Tensor total = loss.discriminator + loss.generator + 0.5 * loss.penalty;
  const std::vector<double> of_sum = values(grad(total, {d, g}));
  const std::vector<double> of_discriminator =
      values(grad(loss.discriminator + 0.5 * loss.penalty, {d, g}));
  const std::vector<double> of_generator = values(grad(loss.generator, {d, g}));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(of_sum[i], of_discriminator[i], 1e-12);
    EXPECT_NE(of_discriminator[i], 0);
    EXPECT_EQ(of_generator[i], 0) << "the generator's loss must not move the discriminator";
  }
  EXPECT_EQ(of_discriminator[3], 0) << "the discriminator's loss must not move the generator";
  EXPECT_NE(of_generator[3], 0);
  EXPECT_NEAR(of_sum[3], of_generator[3], 1e-12);
}

TEST_F(DdganLosses, GeneratorStepRaisesTheLogits) {
  const double slope = values(grad(loss.generator, {g}))[0];
  const auto at = [&](double value) {
    const auto found =
        interpret({loss.generator}, {{"d", {{3}, {0.3, -0.6, 0.8}}}, {"g", {{}, {value}}}});
    return (*found)[0].data[0];
  };
  EXPECT_NEAR((at(0.7 + 1e-5) - at(0.7 - 1e-5)) / 2e-5, slope, 1e-8);
  EXPECT_LT(at(0.7 - 0.01 * slope), at(0.7));
}

TEST_F(DdganLosses, DrawsAreIndependentOfEachOther) {
  const std::vector<double> a = values({draw.previous}), b = values({draw.forward}),
                            c = values({draw.posterior});
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NE(a[i], b[i]);
    EXPECT_NE(b[i], c[i]);
    EXPECT_NE(a[i], c[i]);
  }
}

}  // namespace
}  // namespace ito::test
