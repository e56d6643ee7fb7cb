// Samplers on data whose best network is known in closed form. A step on Gaussian data is an affine
// map, so the distribution of the samples follows exactly, without drawing any.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "diffusion/gaussian_mixture.h"
#include "diffusion/samplers.h"
#include "graph/builder.h"
#include "tests/diffusion/loop.h"
#include "tests/diffusion/mixture_denoiser.h"

namespace ito::test {
namespace {

// One-dimensional data N(0.5, 0.25²).
const GaussianMixture kGaussian{{1.0}, {{0.5}}, {{0.0625}}};

struct Moments {
  double mean = 0;
  double variance = 1;
};

// Mean and variance of the samples after every step, from x_T ~ N(0, 1): the step x' = A x + B + C
// z is read off its values at (x, z) = (0, 0), (1, 0), (0, 1).
std::vector<Moments> moments(const Solver& sampler, const NoiseSchedule& schedule,
                             Prediction prediction) {
  const MethodOptions options{.shape = {3, 1, 1, 1}, .noise_input = true};
  const Program program = method_program(
      solver_method(sampler, mixture_denoiser(kGaussian, schedule, prediction)), options);
  std::vector<Moments> all;
  Moments now;
  for (int i = 0; i < sampler.steps(); ++i) {
    Externals externals{{"x", {options.shape, {0, 1, 0}}},
                        {"noise.0", {options.shape, {0, 0, 1}}},
                        {"step", scalar_value(i)}};
    replay(program, externals);
    const std::vector<double>& y = externals["x"].data;
    const double slope = y[1] - y[0], noise = y[2] - y[0];
    now.mean = slope * now.mean + y[0];
    now.variance = slope * slope * now.variance + noise * noise;
    all.push_back(now);
  }
  return all;
}

SchedulerConfig config_of(const std::string& beta_schedule, const std::string& spacing,
                          const std::string& prediction, const std::string& variance) {
  SchedulerConfig config;
  config.beta_schedule = beta_schedule;
  config.timestep_spacing = spacing;
  config.prediction_type = prediction;
  config.variance_type = variance;
  config.clip_sample = false;
  return config;
}

Moments ddim_moments(const std::string& beta_schedule, const std::string& spacing,
                     const std::string& prediction, int steps, double eta) {
  const SchedulerConfig config = config_of(beta_schedule, spacing, prediction, "fixed_small");
  const Solver sampler =
      make_solver("ddim", config, {.steps = steps, .eta = eta, .arithmetic = Arithmetic::kDouble})
          .value();
  return moments(sampler, make_schedule(config, Arithmetic::kDouble).value(),
                 prediction_from_name(prediction).value())
      .back();
}

// The reference moments were computed independently in float64; the coefficient table is float32.
constexpr double kTolerance = 2e-6;

TEST(Ddim, GaussianDataHasTheExactMoments) {
  struct Case {
    const char *beta_schedule, *spacing;
    int steps;
    double eta, mean, variance;
  };
  for (const Case& c : {
           Case{"linear", "leading", 10, 0, 0.4987966781209855, 0.02143219846798823},
           Case{"linear", "trailing", 10, 0, 0.49955604821593924, 0.01953434094387515},
           Case{"linear", "leading", 10, 1, 0.4999915527186091, 0.017430507324482532},
           Case{"linear", "trailing", 50, 0, 0.49928978977210997, 0.04999205587179969},
           Case{"linear", "leading", 50, 1, 0.49999815497557865, 0.042346155927849634},
           Case{"squaredcos_cap_v2", "leading", 10, 0, 0.4851159795154518, 0.03752253476017817},
           Case{"squaredcos_cap_v2", "trailing", 10, 1, 0.49999999992410105, 0.029437239204484943},
           Case{"squaredcos_cap_v2", "leading", 50, 0, 0.4964879901103116, 0.056286594467305114},
       }) {
    for (const char* prediction : {"epsilon", "sample", "v_prediction"}) {
      const Moments m = ddim_moments(c.beta_schedule, c.spacing, prediction, c.steps, c.eta);
      EXPECT_NEAR(m.mean, c.mean, kTolerance) << c.beta_schedule << c.spacing << prediction;
      EXPECT_NEAR(m.variance, c.variance, kTolerance) << c.beta_schedule << c.spacing << prediction;
    }
  }
}

TEST(Ddim, MoreStepsApproachTheData) {
  double last = 1;
  for (int steps : {10, 30, 100, 1000}) {
    const double error =
        std::fabs(ddim_moments("linear", "trailing", "epsilon", steps, 0).variance - 0.0625);
    EXPECT_LT(error, last);
    last = error;
  }
  EXPECT_LT(last, 1e-3);
}

TEST(Ddpm, GaussianDataHasTheExactMomentsAlongTheChain) {
  struct Case {
    const char *beta_schedule, *variance;
    Moments at_500, at_100, end;
  };
  for (const Case& c : {
           Case{"linear",
                "fixed_small",
                {0.14010039978700822, 0.9262960311022009},
                {0.4735518207189233, 0.1585929938755626},
                {0.49999873875547807, 0.06065317916264443}},
           Case{"linear",
                "fixed_large",
                {0.14010039978700822, 0.9267289086},
                {0.4735518207189233, 0.16027497911917907},
                {0.49999873875547807, 0.06296887814267085}},
           Case{"squaredcos_cap_v2",
                "fixed_small",
                {0.3513700285425736, 0.536918239916197},
                {0.4929738169221779, 0.08827376458567024},
                {0.49999999992410105, 0.06154384864485531}},
       }) {
    const SchedulerConfig config = config_of(c.beta_schedule, "leading", "epsilon", c.variance);
    const Solver sampler =
        make_solver("ddpm", config, {.steps = 1000, .arithmetic = Arithmetic::kDouble}).value();
    const std::vector<Moments> all =
        moments(sampler, make_schedule(config, Arithmetic::kDouble).value(), Prediction::kEpsilon);
    for (auto [t, expected] : {std::pair{500, c.at_500}, {100, c.at_100}, {0, c.end}}) {
      const Moments& m = all[static_cast<size_t>(999 - t)];
      EXPECT_NEAR(m.mean, expected.mean, kTolerance) << c.beta_schedule << c.variance << t;
      EXPECT_NEAR(m.variance, expected.variance, kTolerance) << c.beta_schedule << c.variance << t;
    }
  }
}

// At η = 1 DDIM is DDPM with the small variance (Song et al. 2021, section 4.1).
TEST(Ddim, EtaOneIsDdpm) {
  const SchedulerConfig config = config_of("linear", "leading", "epsilon", "fixed_small");
  const Solver ddpm =
      make_solver("ddpm", config, {.steps = 25, .arithmetic = Arithmetic::kDouble}).value();
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  const Moments a = moments(ddpm, schedule, Prediction::kEpsilon).back();
  const Moments b = ddim_moments("linear", "leading", "epsilon", 25, 1);
  EXPECT_NEAR(a.mean, b.mean, kTolerance);
  EXPECT_NEAR(a.variance, b.variance, kTolerance);
}

// Drawn noise instead of moments: 2,000 images, standard errors 0.0027 and 0.0005 of the moments.
TEST(Ddpm, DrawnSamplesHaveTheMomentsOfTheirLaw) {
  const SchedulerConfig config = config_of("linear", "leading", "epsilon", "fixed_small");
  const Solver sampler = make_solver("ddpm", config, {.steps = 10}).value();
  const NoiseSchedule schedule = make_schedule(config).value();
  const Moments law = moments(sampler, schedule, Prediction::kEpsilon).back();
  std::vector<double> seeds(2000);
  for (size_t i = 0; i < seeds.size(); ++i) seeds[i] = static_cast<double>(i);
  const std::vector<double> x = sample(
      sampler, mixture_denoiser(kGaussian, schedule, Prediction::kEpsilon), {2000, 1, 1, 1}, seeds);
  double mean = 0, square = 0;
  for (double value : x) mean += value / 2000;
  for (double value : x) square += (value - mean) * (value - mean) / 2000;
  EXPECT_NEAR(mean, law.mean, 4 * std::sqrt(law.variance / 2000));
  EXPECT_NEAR(square, law.variance, 4 * law.variance * std::sqrt(2.0 / 2000));
}

TEST(Mixture, ScoreIsTheGradientOfTheLogDensity) {
  const GaussianMixture mixture{{0.3, 0.7}, {{-1, 0.5}, {1.5, -0.2}}, {{0.1, 0.3}, {0.2, 0.05}}};
  const double a = 0.8, s = 0.6;
  const auto log_density = [&](double x, double y) {
    double p = 0;
    for (size_t k = 0; k < 2; ++k) {
      double q = mixture.weights[k];
      for (auto [value, d] : {std::pair{x, 0u}, {y, 1u}}) {
        const double v = a * a * mixture.variances[k][d] + s * s;
        const double e = value - a * mixture.means[k][d];
        q *= std::exp(-e * e / (2 * v)) / std::sqrt(2 * std::numbers::pi * v);
      }
      p += q;
    }
    return std::log(p);
  };
  Graph graph;
  const Tensor x = constant(graph, {1, 2}, {0.3, -0.4});
  const MixturePosterior best =
      mixture_posterior(mixture, x, full(graph, {1}, a), full(graph, {1}, s));
  const auto values = interpret({best.x0, best.epsilon}, {});
  ASSERT_TRUE(values.ok()) << values.error().message;
  const double h = 1e-5;
  const double score[] = {(log_density(0.3 + h, -0.4) - log_density(0.3 - h, -0.4)) / (2 * h),
                          (log_density(0.3, -0.4 + h) - log_density(0.3, -0.4 - h)) / (2 * h)};
  const double point[] = {0.3, -0.4};
  for (size_t d = 0; d < 2; ++d) {
    EXPECT_NEAR(-(*values)[1].data[d] / s, score[d], 1e-8);
    EXPECT_NEAR(a * (*values)[0].data[d] + s * (*values)[1].data[d], point[d], 1e-12);
  }
}

// Two well separated modes: every sample ends at one of them, in the mixture's proportion.
TEST(Mixture, DdpmFindsBothModesInProportion) {
  const GaussianMixture mixture{{0.25, 0.75}, {{-1}, {1}}, {{0.01}, {0.01}}};
  SchedulerConfig config =
      config_of("squaredcos_cap_v2", "trailing", "v_prediction", "fixed_small");
  const Solver sampler = make_solver("ddpm", config, {.steps = 50}).value();
  std::vector<double> seeds(400);
  for (size_t i = 0; i < seeds.size(); ++i) seeds[i] = static_cast<double>(i);
  const std::vector<double> x =
      sample(sampler, mixture_denoiser(mixture, make_schedule(config).value(), Prediction::kV),
             {400, 1, 1, 1}, seeds);
  int right = 0;
  for (double value : x) {
    EXPECT_NEAR(std::fabs(value), 1, 0.5);
    right += value > 0;
  }
  EXPECT_NEAR(right, 300, 4 * std::sqrt(400 * 0.25 * 0.75));
}

}  // namespace
}  // namespace ito::test
