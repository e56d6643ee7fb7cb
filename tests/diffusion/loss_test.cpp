#include "diffusion/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "diffusion/gaussian_mixture.h"
#include "diffusion/huber.h"
#include "diffusion/posterior.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "graph/interpret.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/diffusion/philox_normal.h"

namespace ito {
namespace {

NoiseSchedule linear() { return make_schedule(SchedulerConfig{}, Arithmetic::kDouble).value(); }

constexpr Prediction kAll[] = {Prediction::kEpsilon, Prediction::kSample, Prediction::kV,
                               Prediction::kScore};

TEST(Loss, IsTheMeanSquaredErrorOverEverything) {
  const NoiseSchedule schedule = linear();
  Graph graph;
  const Shape shape{2, 1, 2, 1};
  const std::vector<double> x0 = {0.5, -0.5, 1, 0}, noise = {0.1, -1.2, 0.7, 2};
  const TrainingDraw draw{.timestep = constant(graph, {2}, {10, 900}, DType::kU32),
                          .noise = constant(graph, shape, noise)};
  const auto half = [](Tensor x, Tensor t) { return x * 0.5 + reshape(t, {2, 1, 1, 1}) * 1e-3; };
  const TrainingLoss loss = denoising_loss(constant(graph, shape, x0), draw, schedule, half);
  const auto values = interpret({loss.loss, loss.per_image}, {});
  ASSERT_TRUE(values.ok()) << values.error().message;
  double per_image[2] = {0, 0};
  for (size_t i = 0; i < 4; ++i) {
    const int t = i < 2 ? 10 : 900;
    const double a = std::sqrt(schedule.alpha_bar(t)), s = std::sqrt(1 - schedule.alpha_bar(t));
    const double error = 0.5 * (a * x0[i] + s * noise[i]) + t * 1e-3 - noise[i];
    per_image[i / 2] += error * error / 2;
  }
  EXPECT_NEAR((*values)[1].data[0], per_image[0], 1e-9);
  EXPECT_NEAR((*values)[1].data[1], per_image[1], 1e-9);
  EXPECT_NEAR((*values)[0].data[0], (per_image[0] + per_image[1]) / 2, 1e-9);
}

// PyTorch's values of 2c (√(d² + c²) - c) and its gradient, in double; the third difference would
// be lost in single precision as the formula stands.
TEST(PseudoHuber, AndItsGradientAreThoseOfPyTorch) {
  Graph graph;
  const Tensor d = constant(graph, {3}, {0.3, -2, 1e-6});
  const Tensor loss = pseudo_huber(d, scalar(graph, 0.25));
  const auto values = interpret({loss, grad(loss, {d})[0]}, {});
  ASSERT_TRUE(values.ok()) << values.error().message;
  const double expected[] = {0.07025624189766635, 0.8827822185373186, 1.0000056338554941e-12};
  const double slope[] = {0.3841106397986879, -0.49613893835683387, 1.999999999984e-06};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR((*values)[0].data[i], expected[i], 1e-5 * expected[i]) << i;
    EXPECT_NEAR((*values)[1].data[i], slope[i], 1e-9 * std::fabs(slope[i])) << i;
  }
}

// The loss of diffusers' training scripts for a network x/2 + t/1000, in PyTorch and double.
TEST(PseudoHuber, LossHasTheWidthOfEachTimestep) {
  const NoiseSchedule schedule = linear();
  struct Case {
    const char* fall;
    double width[2], per_image[2];
  };
  for (const Case& c : {Case{"constant", {0.1, 0.1}, {0.09279582697883648, 0.050857626207240395}},
                        Case{"exponential",
                             {0.9772372209558107, 0.12589254117941673},
                             {0.37784286876712525, 0.060588096982885774}},
                        Case{"snr",
                             {0.9211909382856975, 0.10023547898144373},
                             {0.3717067454567706, 0.05095103432635368}}}) {
    SCOPED_TRACE(c.fall);
    const std::vector<double> widths = huber_widths(c.fall, 0.1, schedule).value();
    ASSERT_EQ(widths.size(), 1000u);
    Graph graph;
    const Shape shape{2, 1, 2, 1};
    const TrainingDraw draw{.timestep = constant(graph, {2}, {10, 900}, DType::kU32),
                            .noise = constant(graph, shape, {0.1, -1.2, 0.7, 2})};
    const auto half = [](Tensor x, Tensor t) { return x * 0.5 + reshape(t, {2, 1, 1, 1}) * 1e-3; };
    const TrainingLoss loss = denoising_loss(constant(graph, shape, {0.5, -0.5, 1, 0}), draw,
                                             schedule, half, {.error = huber_error(widths)});
    const auto values = interpret({loss.per_image}, {});
    ASSERT_TRUE(values.ok()) << values.error().message;
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(widths[i == 0 ? 10 : 900], c.width[i], 1e-9);
      EXPECT_NEAR((*values)[0].data[i], c.per_image[i], 1e-9);
    }
  }
  EXPECT_FALSE(huber_widths("linear", 0.1, schedule).ok());
  for (const double least : {0.0, -1.0, std::nan("")})
    EXPECT_FALSE(huber_widths("snr", least, schedule).ok());
}

// One and the same estimate of x_0, stated in any parameterisation, has the same weighted loss.
TEST(Loss, WeightsMeanTheSameForEveryPrediction) {
  const NoiseSchedule schedule = linear();
  for (LossWeight weight : {LossWeight::kMinSnr, LossWeight::kP2, LossWeight::kElbo}) {
    for (int t : {0, 100, 999}) {
      std::vector<double> losses;
      for (Prediction prediction : kAll) {
        Graph graph;
        const Shape shape{1, 3};
        const TrainingDraw draw{
            .timestep = constant(graph, {1}, {static_cast<double>(t)}, DType::kU32),
            .noise = constant(graph, shape, {0.3, -0.8, 1.4})};
        const Tensor a = scalar(graph, std::sqrt(schedule.alpha_bar(t)));
        const Tensor s = scalar(graph, std::sqrt(1 - schedule.alpha_bar(t)));
        const auto wrong = [&](Tensor x, Tensor) {
          const Tensor estimate = constant(graph, shape, {0.2, 0.1, -0.3});
          return prediction_target(prediction, estimate, (x - a * estimate) / s, a, s);
        };
        const LossOptions options{.prediction = prediction, .weight = weight};
        const auto loss = interpret({denoising_loss(constant(graph, shape, {0.5, 0.6, -0.1}), draw,
                                                    schedule, wrong, options)
                                         .loss},
                                    {});
        ASSERT_TRUE(loss.ok()) << loss.error().message;
        losses.push_back((*loss)[0].data[0]);
      }
      for (double loss : losses) EXPECT_NEAR(loss, losses[0], 1e-9 * losses[0]) << t;
    }
  }
}

TEST(Loss, WeightsFollowTheirPapers) {
  const NoiseSchedule schedule = linear();
  const auto weights = [&](LossOptions options) { return loss_weights(schedule, options); };
  const std::vector<double> none = weights({});
  const std::vector<double> min_snr = weights({.weight = LossWeight::kMinSnr});
  const std::vector<double> min_snr_v =
      weights({.prediction = Prediction::kV, .weight = LossWeight::kMinSnr});
  const std::vector<double> p2 = weights({.weight = LossWeight::kP2, .p2_gamma = 0.5});
  const std::vector<double> large = weights({.weight = LossWeight::kElbo});
  const std::vector<double> small =
      weights({.weight = LossWeight::kElbo, .elbo_small_variance = true});
  for (int t = 1; t < 1000; ++t) {
    const size_t i = static_cast<size_t>(t);
    const double snr = schedule.snr(t), beta = schedule.betas[i];
    const double rest = 1 - schedule.alpha_bar(t);
    EXPECT_EQ(none[i], 1);
    EXPECT_NEAR(min_snr[i], std::min(snr, 5.0) / snr, 1e-12);
    EXPECT_NEAR(min_snr_v[i], std::min(snr, 5.0) / (snr + 1), 1e-12);
    EXPECT_NEAR(p2[i], 1 / std::sqrt(1 + snr), 1e-12);
    EXPECT_NEAR(large[i], beta * beta / (2 * beta * schedule.alpha(t) * rest), 1e-9 * large[i]);
    const double variance = posterior(schedule, t, t - 1).variance;
    EXPECT_NEAR(small[i], beta * beta / (2 * variance * schedule.alpha(t) * rest), 1e-9 * small[i]);
  }
  EXPECT_TRUE(std::isfinite(small[0]));
  EXPECT_FALSE(loss_weight_from_name("snr").ok());
}

// With v-prediction every weight stays finite where no signal is left.
TEST(Loss, WeightsAreFiniteAtZeroTerminalSnr) {
  SchedulerConfig config;
  config.rescale_betas_zero_snr = true;
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  for (LossWeight weight : {LossWeight::kMinSnr, LossWeight::kP2, LossWeight::kElbo})
    for (double w : loss_weights(schedule, {.prediction = Prediction::kV, .weight = weight}))
      ASSERT_TRUE(std::isfinite(w));
}

// E over x_t of the best network's squared error, per t, is known for Gaussian data: for ε it is
// a² v/(a² v + s²), with v the data's variance. 20,000 draws; standard error √(2/20000) of the
// value.
TEST(Loss, OfTheBestNetworkOnGaussianDataIsTheKnownMinimum) {
  const NoiseSchedule schedule = linear();
  const GaussianMixture data{{1.0}, {{0.5}}, {{0.0625}}};
  constexpr size_t kDraws = 20000;
  for (auto [t, minimum] : {std::pair{10, 0.9660230497763392}, {100, 0.3479147628546089}}) {
    Graph graph;
    const Shape shape{kDraws, 1};
    std::vector<double> x0(kDraws), noise(kDraws);
    test::philox_fill_normal(x0, {1, 2}, 3, 4, 5);
    test::philox_fill_normal(noise, {1, 2}, 3, 4, 6);
    for (double& value : x0) value = 0.5 + 0.25 * value;
    const TrainingDraw draw{.timestep = full(graph, {kDraws}, t, DType::kU32),
                            .noise = constant(graph, shape, noise)};
    const auto loss =
        interpret({denoising_loss(constant(graph, shape, x0), draw, schedule,
                                  test::mixture_denoiser(data, schedule, Prediction::kEpsilon))
                       .loss},
                  {});
    ASSERT_TRUE(loss.ok()) << loss.error().message;
    EXPECT_NEAR((*loss)[0].data[0], minimum, 4 * minimum * std::sqrt(2.0 / kDraws)) << t;
  }
}

struct Drawn {
  std::vector<double> timesteps, noise;
};
Drawn draw_for(const std::vector<double>& images, double step) {
  Graph graph;
  const int64_t n = static_cast<int64_t>(images.size());
  const TrainingDraw draw = draw_training({n, 2, 2, 1}, input(graph, "key", {2}, DType::kU32),
                                          input(graph, "image", {n}, DType::kU32),
                                          input(graph, "step", {}, DType::kU32), linear());
  const auto values =
      interpret({draw.timestep, draw.noise},
                {{"key", {{2}, {5, 6}}}, {"image", {{n}, images}}, {"step", {{}, {step}}}});
  EXPECT_TRUE(values.ok()) << values.error().message;
  return {(*values)[0].data, (*values)[1].data};
}

TEST(TrainingDraw, BatchSplitChangesNothingAndStepsDiffer) {
  const Drawn whole = draw_for({0, 1, 2, 3}, 12);
  const Drawn half = draw_for({2, 3}, 12);
  EXPECT_EQ(std::vector<double>(whole.timesteps.begin() + 2, whole.timesteps.end()),
            half.timesteps);
  EXPECT_EQ(std::vector<double>(whole.noise.begin() + 8, whole.noise.end()), half.noise);
  EXPECT_NE(draw_for({0, 1, 2, 3}, 13).noise, whole.noise);
}

TEST(TrainingDraw, TimestepsAreUniform) {
  std::vector<double> images(4000);
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<double>(i);
  const Drawn drawn = draw_for(images, 0);
  std::vector<int> tenths(10);
  for (double t : drawn.timesteps) {
    ASSERT_GE(t, 0);
    ASSERT_LT(t, 1000);
    ++tenths[static_cast<size_t>(t / 100)];
  }
  double chi_square = 0;
  for (int count : tenths) chi_square += (count - 400.0) * (count - 400.0) / 400;
  EXPECT_LT(chi_square, 27.9);  // 9 degrees of freedom, p = 0.001
}

TEST(Loss, GradientMatchesFiniteDifferences) {
  const NoiseSchedule schedule = linear();
  for (Prediction prediction : kAll) {
    const auto evaluate = [&](double weight, bool gradient) {
      Graph graph;
      const Shape shape{2, 2};
      const Tensor w = input(graph, "w", {});
      const TrainingDraw draw{.timestep = constant(graph, {2}, {50, 700}, DType::kU32),
                              .noise = constant(graph, shape, {0.3, -0.8, 1.4, 0.2})};
      const LossOptions options{.prediction = prediction, .weight = LossWeight::kMinSnr};
      const Tensor loss = denoising_loss(
                              constant(graph, shape, {0.5, 0.6, -0.1, 1}), draw, schedule,
                              [&](Tensor x, Tensor) { return tanh(w * x); }, options)
                              .loss;
      const auto value = interpret({gradient ? grad(loss, {w})[0] : loss}, {{"w", {{}, {weight}}}});
      EXPECT_TRUE(value.ok()) << value.error().message;
      return (*value)[0].data[0];
    };
    const double h = 1e-5;
    EXPECT_NEAR(evaluate(0.7, true),
                (evaluate(0.7 + h, false) - evaluate(0.7 - h, false)) / (2 * h), 1e-7);
  }
}

}  // namespace
}  // namespace ito
