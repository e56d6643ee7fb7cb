// EDM preconditioning and sampler against the requirements they were derived from and closed forms.
#include "diffusion/edm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/edm_sampler.h"
#include "diffusion/score_model.h"
#include "graph/builder.h"
#include "tests/diffusion/method_loop.h"

namespace ito::test {
namespace {

// What the formulas were derived from (Karras et al. 2022, appendix B.6): the network sees unit
// variance, its target has unit variance, and the effective weight c_out² λ is 1 at every σ.
TEST(Edm, PreconditioningKeepsUnitVariance) {
  const EdmPreconditioning p{.sigma_data = 0.7};
  const double variance = 0.49;
  for (double sigma : {0.002, 0.1, 0.7, 5.0, 80.0}) {
    const double s2 = sigma * sigma;
    EXPECT_NEAR(std::pow(p.c_in(sigma), 2) * (variance + s2), 1, 1e-12);
    const double target =
        std::pow(1 - p.c_skip(sigma), 2) * variance + std::pow(p.c_skip(sigma), 2) * s2;
    EXPECT_NEAR(target / std::pow(p.c_out(sigma), 2), 1, 1e-9) << sigma;
    EXPECT_NEAR(p.weight(sigma) * std::pow(p.c_out(sigma), 2), 1, 1e-12);
    EXPECT_NEAR(p.c_noise(sigma), std::log(sigma) / 4, 1e-15);
  }
}

TEST(Edm, TensorsAreWhatTheHostSays) {
  const EdmPreconditioning p;
  for (double sigma : {0.002, 0.5, 80.0}) {
    Graph graph;
    const Tensor s = full(graph, {1}, sigma);
    const auto expect = [&](Tensor value, double host) {
      EXPECT_NEAR(interpret({value}, {}).value()[0].data[0], host, 2e-6 * std::fabs(host)) << sigma;
    };
    expect(p.c_skip(s), p.c_skip(sigma));
    expect(p.c_out(s), p.c_out(sigma));
    expect(p.c_in(s), p.c_in(sigma));
    expect(p.c_noise(s), p.c_noise(sigma));
    expect(p.weight(s), p.weight(sigma));
  }
}

// With a network that is the best there is for N(0, σ_d²), namely F = 0, the denoiser is the
// posterior mean and its score that of the noised data.
TEST(Edm, ScoreOfTheBestDenoiserIsExact) {
  const double sigma_data = 0.5, sigma = 0.8;
  const ScoreFunction score = score_of_denoiser(
      edm_denoiser([](Tensor x, Tensor) { return x * 0.0; }, {.sigma_data = sigma_data}));
  Graph graph;
  const Tensor x = constant(graph, {2, 1}, {0.25, -2}), s = full(graph, {2}, sigma);
  const std::vector<double> found = interpret({score(x, s)}, {}).value()[0].data;
  const double total = sigma * sigma + sigma_data * sigma_data;
  EXPECT_NEAR(found[0], -0.25 / total, 1e-6);
  EXPECT_NEAR(found[1], 2 / total, 1e-6);
}

TEST(Edm, TrainingLevelsAreLogNormal) {
  Graph graph;
  const Tensor z = constant(graph, {2}, {0, 1});
  const std::vector<double> sigma = interpret({edm_training_sigma(z)}, {}).value()[0].data;
  EXPECT_NEAR(sigma[0], std::exp(-1.2), 1e-6);
  EXPECT_NEAR(sigma[1], 1, 1e-6);
}

TEST(Edm, TimeStepsDescendFromEndToEnd) {
  const std::vector<double> times = edm_time_steps(0.002, 80, 7, 18).value();
  ASSERT_EQ(times.size(), 19u);
  EXPECT_NEAR(times[0], 80, 1e-9);
  EXPECT_NEAR(times[17], 0.002, 1e-12);
  EXPECT_EQ(times[18], 0);
  for (size_t i = 0; i + 1 < times.size(); ++i) EXPECT_GT(times[i], times[i + 1]);
  EXPECT_FALSE(edm_time_steps(0.002, 80, 7, 1).ok());
  EXPECT_FALSE(edm_time_steps(0.1, 0.1, 7, 5).ok());
  EXPECT_FALSE(edm_time_steps(0.1, 1, 0, 5).ok());
}

// The probability flow of N(0, v): x(0) = x(σ) √(v/(v + σ²)).
double flow_error(int steps, bool heun) {
  const double v = 0.25;
  const GaussianMixture data{{1.0}, {{0.0}}, {{v}}};
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 10};
  const Method chain =
      edm_sampler(sde, mixture_score(data, sde), {.steps = steps, .heun = heun}).value();
  Externals externals = method_start(chain, {1, 1});
  externals["x"].data = {3.0};
  replay_method(chain, {.shape = {1, 1}}, externals);
  return std::fabs(externals["x"].data[0] - 3 * std::sqrt(v / (v + 100)));
}

TEST(EdmSampler, HeunIsOfSecondOrderAndEulerOfFirst) {
  EXPECT_NEAR(std::log2(flow_error(40, false) / flow_error(80, false)), 1, 0.1);
  EXPECT_NEAR(std::log2(flow_error(40, true) / flow_error(80, true)), 2, 0.2);
}

// The same flow in the coordinates of every other process, from the ratio of noise to signal at its
// end: the closed form is what smaller steps tend to, with second order.
TEST(EdmSampler, FollowsTheFlowOfEverySde) {
  const double v = 0.25, start = 3.0;
  const GaussianMixture data{{1.0}, {{0.0}}, {{v}}};
  for (const Sde& sde :
       {Sde{.kind = Sde::Kind::kVe, .sigma_min = 0.002, .sigma_max = 10},
        Sde{.kind = Sde::Kind::kVp, .beta_max = 9}, Sde{.kind = Sde::Kind::kSubVp, .beta_max = 9},
        Sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 10}}) {
    const ScoreModel model =
        edm_coordinates({.sde = sde, .score = mixture_score(data, sde)}, sde.start()).value();
    const double sigma = sde.std(sde.end()) / sde.mean(sde.end());
    EXPECT_NEAR(model.sde.sigma_max / sigma, 1, 1e-12);
    EXPECT_NEAR(model.sde.sigma_min * sde.mean(sde.start()), sde.std(sde.start()), 1e-12);
    // The last step, from σ_min to 0, is the posterior mean however many there are before it.
    const double last = v + std::pow(model.sde.sigma_min, 2);
    const double exact = start * std::sqrt(last / (v + sigma * sigma)) * v / last;
    const auto error = [&](int steps) {
      const Method chain = edm_sampler(model.sde, model.score, {.steps = steps}).value();
      Externals externals = method_start(chain, {1, 1});
      externals["x"].data = {start};
      replay_method(chain, {.shape = {1, 1}}, externals);
      return std::fabs(externals["x"].data[0] / exact - 1);
    };
    const double coarse = error(40), fine = error(80);
    EXPECT_LT(coarse, 0.01) << sde_name(sde.kind);
    EXPECT_NEAR(std::log2(coarse / fine), 2, 0.2) << sde_name(sde.kind);
  }
}

TEST(EdmSampler, CountsEvaluations) {
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80};
  const ScoreFunction score = [](Tensor x, Tensor) { return -x; };
  EXPECT_EQ(edm_sampler(sde, score, {.steps = 18}).value().steps, 35);  // as published for 18 steps
  EXPECT_EQ(edm_sampler(sde, score, {.steps = 18, .heun = false}).value().steps, 18);
  EXPECT_EQ(edm_sampler(sde, score, {.steps = 18}).value().draws, 0);
  EXPECT_EQ(edm_sampler(sde, score, {.s_churn = 40}).value().draws, 1);
}

TEST(EdmSampler, BadRequestsAreNamed) {
  const ScoreFunction score = [](Tensor x, Tensor) { return -x; };
  const auto message = [&](const Sde& sde, const EdmSamplerOptions& options) {
    const Result<Method> chain = edm_sampler(sde, score, options);
    return chain.ok() ? std::string() : chain.error().message;
  };
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80};
  EXPECT_NE(message({.kind = Sde::Kind::kVp}, {}).find("vp"), std::string::npos);
  EXPECT_NE(message(sde, {.steps = 1}).find("1 steps"), std::string::npos);
  EXPECT_NE(message(sde, {.s_churn = -1}).find("s_churn"), std::string::npos);
  EXPECT_NE(message(sde, {.s_min = 2, .s_max = 1}).find("s_min"), std::string::npos);
  EXPECT_NE(message(sde, {.s_noise = NAN}).find("s_noise"), std::string::npos);
}

}  // namespace
}  // namespace ito::test
