// Noise ladders against the published settings of NCSNv2 and against the chain they are rules for.
#include "diffusion/noise_ladder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/annealed_langevin.h"
#include "graph/builder.h"
#include "tests/diffusion/method_loop.h"

namespace ito::test {
namespace {

TEST(NoiseLadder, GeometricLaddersHaveOneRatio) {
  const std::vector<double> sigmas = geometric_ladder(1, 0.01, 10).value();  // NCSN's for CIFAR-10
  ASSERT_EQ(sigmas.size(), 10u);
  EXPECT_EQ(sigmas.front(), 1);
  EXPECT_NEAR(sigmas.back(), 0.01, 1e-15);
  for (size_t i = 1; i < sigmas.size(); ++i)
    EXPECT_NEAR(sigmas[i] / sigmas[i - 1], std::pow(0.01, 1.0 / 9), 1e-12);
  EXPECT_TRUE(check_ladder(sigmas).ok());
}

TEST(NoiseLadder, WrongLaddersAreRefusedByTheirLevel) {
  const auto message = [](const std::vector<double>& sigmas) {
    const Status status = check_ladder(sigmas);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(message({3, 2, 1}), "");
  EXPECT_NE(message({}).find("without levels"), std::string::npos);
  EXPECT_NE(message({3, 3, 1}).find("level 2"), std::string::npos);
  EXPECT_NE(message({1, 0.5, 0.7}).find("level 3"), std::string::npos);
  EXPECT_NE(message({1, 0}).find("level 2"), std::string::npos);
  EXPECT_NE(message({1, -1}).find("level 2"), std::string::npos);
  EXPECT_NE(message({NAN}).find("level 1"), std::string::npos);
  EXPECT_NE(message({INFINITY, 1}).find("level 1"), std::string::npos);
  EXPECT_FALSE(geometric_ladder(1, 1, 5).ok());
  EXPECT_FALSE(geometric_ladder(0.1, 1, 5).ok());
  EXPECT_FALSE(geometric_ladder(1, 0.1, 1).ok());
  const ScoreFunction score = [](Tensor x, Tensor) { return -x; };
  EXPECT_FALSE(annealed_langevin({1, 2}, {1, 2}, score, {}).ok());
  EXPECT_FALSE(annealed_langevin({2, 1}, {1}, score, {}).ok());
  EXPECT_FALSE(annealed_langevin({2, 1}, {2, 1}, score, {.epsilon = 0}).ok());
  EXPECT_FALSE(annealed_langevin({2, 1}, {2, 1}, score, {.steps_per_level = 0}).ok());
}

// γ solves its equation: for many dimensions √(2D)(γ-1) = 3γ, as the other term is 1 and the answer
// for an overlap of 1/2 has Φ(0).
TEST(NoiseLadder, RatioSolvesTechniqueTwo) {
  for (int64_t dimensions : {1024, 3072, 49152}) {
    const double root = std::sqrt(2.0 * static_cast<double>(dimensions));
    EXPECT_NEAR(ladder_ratio(dimensions), root / (root - 3), 1e-6);
  }
  // More overlap, or more dimensions: more levels.
  EXPECT_GT(ladder_levels(50, 0.01, 3072, 0.6), ladder_levels(50, 0.01, 3072, 0.5));
  EXPECT_GT(ladder_levels(50, 0.01, 12288), ladder_levels(50, 0.01, 3072));
  // CIFAR-10's 232 levels from 50 to 0.01 (Song & Ermon 2020, table 1) lie between overlaps of 0.5
  // and 0.6.
  EXPECT_LT(ladder_levels(50, 0.01, 3072, 0.5), 232);
  EXPECT_GT(ladder_levels(50, 0.01, 3072, 0.6), 232);
}

// Published ε: 6.2e-6 for CIFAR-10 (σ_1 50, 232 levels, T 5), 3.3e-6 for CelebA 64 (90, 500, 5),
// with two digits.
TEST(NoiseLadder, StepSizeIsThePublishedOne) {
  EXPECT_NEAR(ladder_step_size(geometric_ladder(50, 0.01, 232).value(), 5), 6.2e-6, 0.05e-6);
  EXPECT_NEAR(ladder_step_size(geometric_ladder(90, 0.01, 500).value(), 5), 3.3e-6, 0.05e-6);
}

// Proposition 3 is about the chain itself: T steps at σ_i on Gaussian noise of deviation σ_i, from
// deviation γ σ_i.
TEST(NoiseLadder, VarianceFormulaIsThatOfTheChain) {
  const std::vector<double> sigmas = {0.5, 0.4};
  const ScoreFunction score = [](Tensor x, Tensor sigma) {
    return -x / per_image(square(sigma), x.rank());
  };
  const int steps = 4;
  const double epsilon = 0.07 * 0.16;
  const Method chain =
      annealed_langevin(sigmas, sigmas, score,
                        {.epsilon = epsilon, .steps_per_level = steps, .denoise = false})
          .value();
  const double first = ladder_variance(0.07, 1.25, steps) * 0.25;
  const std::vector<Moments> all = method_moments(chain, {.mean = 0, .variance = 0.625 * 0.625});
  ASSERT_EQ(all.size(), 8u);
  EXPECT_NEAR(all[3].variance, first, 1e-6);
  EXPECT_NEAR(all[7].variance, ladder_variance(0.07, std::sqrt(first) / 0.4, steps) * 0.16, 1e-6);
}

// The two papers write the same dynamics with α of which one is twice the other.
TEST(AnnealedLangevin, FormsDifferInTheMeaningOfAlpha) {
  const std::vector<double> sigmas = geometric_ladder(2, 0.1, 4).value();
  const ScoreFunction score = [](Tensor x, Tensor) { return -x; };
  const auto table = [&](AnnealedForm form, double epsilon) {
    return annealed_langevin(sigmas, sigmas, score, {.form = form, .epsilon = epsilon}).value();
  };
  const Method one = table(AnnealedForm::kNcsn, 2e-3), two = table(AnnealedForm::kNcsnV2, 1e-3);
  EXPECT_EQ(one.table, two.table);
  EXPECT_EQ(one.steps, 4 * 100 + 1);
  // α_i = ε σ_i²/σ_L².
  EXPECT_NEAR(two.column("on_score")[0], 1e-3 * 400, 1e-12);
  EXPECT_NEAR(two.column("noise")[0], std::sqrt(2 * 1e-3 * 400), 1e-12);
}

// The last step is the posterior mean of x_0 (Tweedie): on N(μ, v) noised by σ_L, that is
// (v x + σ² μ)/(v + σ²).
TEST(AnnealedLangevin, DenoisingIsThePosteriorMean) {
  const GaussianMixture data{{1.0}, {{0.5}}, {{0.09}}};
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.2, .sigma_max = 1};
  const Method chain =
      annealed_langevin({0.2}, {0.2}, mixture_score(data, sde), {.steps_per_level = 1}).value();
  Externals externals = method_start(chain, {1, 1});
  externals["x"].data = {0.9};
  externals["step"] = scalar_value(1);
  replay_method(chain, {.shape = {1, 1}}, externals, 1);
  EXPECT_NEAR(externals["x"].data[0], (0.09 * 0.9 + 0.04 * 0.5) / 0.13, 1e-6);
}

}  // namespace
}  // namespace ito::test
