// Scores of networks and of discrete chains against the closed form of a Gaussian mixture.
#include "diffusion/score_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/gaussian_mixture.h"
#include "graph/builder.h"
#include "graph/interpret.h"
#include "tests/diffusion/mixture_denoiser.h"

namespace ito {
namespace {

const GaussianMixture kMixture{
    {0.3, 0.7}, {{-0.5, 0.2}, {0.6, -0.4}}, {{0.04, 0.09}, {0.01, 0.16}}};

struct Point {
  double t = 0;
  std::vector<double> x;
};

// [n, 2] scores at the given points.
std::vector<double> scores(const ScoreFunction& score, const std::vector<Point>& points) {
  Graph graph;
  std::vector<double> x, t;
  for (const Point& point : points) {
    x.insert(x.end(), point.x.begin(), point.x.end());
    t.push_back(point.t);
  }
  const int64_t n = static_cast<int64_t>(points.size());
  const Tensor s = score(constant(graph, {n, 2}, x), constant(graph, {n}, t));
  return (*interpret({s}, {}))[0].data;
}

void expect_close(const std::vector<double>& actual, const std::vector<double>& expected,
                  double relative) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], relative * (1 + std::abs(expected[i]))) << i;
}

// F = (D - c_skip x)/c_out of the mixture's own denoiser, told by c_noise what σ is: the score is
// the mixture's for both signs of the network.
TEST(ScoreModel, AnEdmNetworkIsPreconditionedAsItsSchedulerSays) {
  SchedulerConfig config;
  config.process = ProcessKind::kEdm;
  config.sampler = "edm-euler";
  config.sigma_min = 0.002;
  config.sigma_max = 80;
  config.sigma_data = 0.7;
  const Sde sde = *scheduler_sde(config);
  EXPECT_EQ(sde.kind, Sde::Kind::kEdm);
  EXPECT_EQ(sampling_end(config), 0.002);
  const std::vector<Point> points = {{0.01, {-0.4, 0.1}}, {0.5, {0.6, -1.1}}, {9, {-7, 12}}};
  const ScoreFunction exact = mixture_score(kMixture, sde);
  for (const double sign : {1.0, -1.0}) {
    config.prediction_type = sign > 0 ? "epsilon" : "v_prediction";
    const Denoiser network = [&](Tensor scaled, Tensor c_noise) {
      const EdmPreconditioning p{.sigma_data = 0.7};
      const Tensor sigma = exp(c_noise * 4.0), x = scaled / per_image(p.c_in(sigma), 2);
      const Tensor best = x + per_image(square(sigma), 2) * exact(x, sigma);
      return (best - per_image(p.c_skip(sigma), 2) * x) / per_image(p.c_out(sigma), 2) * sign;
    };
    expect_close(scores(network_score(network, NoiseInput::kTimestep, config), points),
                 scores(exact, points), 1e-5);
  }
  config.prediction_type = "sample";
  EXPECT_FALSE(scheduler_sde(config).ok());
}

// At the schedule's own noise levels nothing is interpolated.
TEST(ScoreModel, ADiscreteChainIsTheVpSdeOfTheSameSignalToNoiseRatio) {
  SchedulerConfig config;
  config.beta_schedule = "squaredcos_cap_v2";
  const NoiseSchedule schedule = *make_schedule(config, Arithmetic::kDouble);
  for (const Prediction prediction : {Prediction::kEpsilon, Prediction::kV}) {
    const ScoreModel model =
        *chain_score(schedule, prediction, test::mixture_denoiser(kMixture, schedule, prediction));
    std::vector<Point> points;
    for (const int k : {20, 300, 700, 900}) {
      // The time of VP where e^{-∫β} is the schedule's alpha_bar.
      const double integral = -std::log(schedule.alpha_bar(k));
      const Sde& sde = model.sde;
      const double slope = sde.beta_max - sde.beta_min;
      // A little above, because the mixture's denoiser rounds timesteps down.
      const double t =
          (std::sqrt(sde.beta_min * sde.beta_min + 2 * slope * integral) - sde.beta_min) / slope *
          (1 + 1e-9);
      ASSERT_LT(t, 1);
      points.push_back({t, {0.3, -0.8}});
    }
    expect_close(scores(model.score, points), scores(mixture_score(kMixture, model.sde), points),
                 1e-5);
  }
}

// Networks that know the answer, told the noise level either way.
TEST(ScoreModel, BothKindsOfNetworkGiveTheScore) {
  SchedulerConfig config;
  config.process = ProcessKind::kVe;
  config.sampler = "pc";
  config.sigma_min = 0.1;
  config.sigma_max = 5;
  config.num_train_timesteps = 11;
  const Sde sde = *scheduler_sde(config);
  const ScoreFunction exact = mixture_score(kMixture, sde);
  const Denoiser told_sigma = [&](Tensor x, Tensor sigma) {
    return exact(x, log(sigma / sde.sigma_min) / std::log(sde.sigma_max / sde.sigma_min));
  };
  const Denoiser told_timestep = [&](Tensor x, Tensor timestep) {
    const Tensor t = timestep / 10.0;
    return -exact(x, t) * per_image(sde.std(t), x.rank());
  };
  const std::vector<Point> points = {{0.0, {0.1, 0.2}}, {0.35, {-1, 2}}, {1.0, {4, -3}}};
  const std::vector<double> expected = scores(exact, points);
  expect_close(scores(network_score(told_sigma, NoiseInput::kSigma, config), points), expected,
               1e-6);
  expect_close(scores(network_score(told_timestep, NoiseInput::kTimestep, config), points),
               expected, 1e-6);
}

// Of N(2, 0.01): estimates lie near 2 at small times, and at the end wherever x leads them.
TEST(ScoreModel, ClippedScoresKeepTheCleanImageInRange) {
  const GaussianMixture far{{1}, {{2, -0.5}}, {{0.01, 0.01}}};
  const Sde sde;
  const ScoreFunction exact = mixture_score(far, sde);
  const std::vector<Point> points = {{0.1, {1.9, -0.4}}, {0.6, {0.5, 0.3}}, {0.9, {-2, 1}}};
  const std::vector<double> free = scores(exact, points);
  expect_close(scores(clipped_score(sde, exact, 3), points), free, 1e-6);
  const std::vector<double> clipped = scores(clipped_score(sde, exact, 1), points);
  for (size_t i = 0; i < points.size(); ++i) {
    const double t = points[i].t, mean = sde.mean(t), variance = std::pow(sde.std(t), 2);
    EXPECT_NEAR((points[i].x[0] + variance * clipped[2 * i]) / mean, 1, 1e-4);
    EXPECT_NEAR(clipped[2 * i + 1], free[2 * i + 1], 1e-6 * (1 + std::abs(free[2 * i + 1])));
  }
}

TEST(ScoreModel, ALadderIsGeometricInSigma) {
  Graph graph;
  const Sde sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 10};
  const Tensor level = constant(graph, {4}, {0, 1, 2, 3}, DType::kU32);
  const auto sigma = (*interpret({sde.std(ladder_time(level, 4))}, {}))[0].data;
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(sigma[i], 0.01 * std::pow(10, i), 1e-6 * sigma[i]);
}

TEST(ScoreModel, OtherSchedulersHaveNoSde) {
  EXPECT_FALSE(scheduler_sde(SchedulerConfig{}).ok());
  SchedulerConfig config;
  config.process = ProcessKind::kVe;
  config.sampler = "pc";
  config.sigma_min = config.sigma_max;
  const auto sde = scheduler_sde(config);
  ASSERT_FALSE(sde.ok());
  EXPECT_NE(sde.error().message.find("sigma_min"), std::string::npos);
}

}  // namespace
}  // namespace ito
