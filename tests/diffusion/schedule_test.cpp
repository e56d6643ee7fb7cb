#include "diffusion/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/timesteps.h"

namespace ito {
namespace {

NoiseSchedule schedule_of(const std::string& name, Arithmetic arithmetic = Arithmetic::kDouble,
                          int timesteps = 1000) {
  SchedulerConfig config;
  config.beta_schedule = name;
  config.num_train_timesteps = timesteps;
  return make_schedule(config, arithmetic).value();
}

TEST(Schedule, LinearMatchesClosedFormProducts) {
  const NoiseSchedule linear = schedule_of("linear");
  EXPECT_DOUBLE_EQ(linear.betas.front(), 1e-4);
  EXPECT_DOUBLE_EQ(linear.betas.back(), 0.02);
  EXPECT_NEAR(linear.alpha_bar(100), 0.8951415908975365, 1e-13);
  EXPECT_NEAR(linear.alpha_bar(500), 0.07779665836502389, 1e-13);
  EXPECT_NEAR(linear.alpha_bar(999), 4.035829765375676e-05, 1e-16);
  EXPECT_EQ(linear.alpha_bar(-1), 1);
}

TEST(Schedule, CosineIsTheCosineUntilBetaIsCapped) {
  const NoiseSchedule cosine = schedule_of("squaredcos_cap_v2");
  const auto f = [](double u) {
    return std::pow(std::cos((u + 0.008) / 1.008 * std::acos(0.0)), 2);
  };
  for (int t : {0, 1, 10, 100, 500, 900, 998})
    EXPECT_NEAR(cosine.alpha_bar(t), f((t + 1) / 1000.0) / f(0), 1e-12) << t;
  EXPECT_EQ(cosine.betas.back(), kMaxBeta);
  EXPECT_NEAR(cosine.alpha_bar(999), 2.4287669070348567e-09, 1e-20);
}

// Words of PyTorch's own float32 tables.
TEST(Schedule, Float32TablesAreThoseOfTorch) {
  const NoiseSchedule linear = schedule_of("linear", Arithmetic::kFloat32AsDiffusers);
  EXPECT_EQ(linear.betas[0], 9.999999747378752e-05);
  EXPECT_EQ(linear.betas[1], 0.00011991991777904332);
  EXPECT_EQ(linear.betas[4], 0.00017967968597076833);
  EXPECT_EQ(linear.alphas_cumprod[0], 0.9998999834060669);
  EXPECT_EQ(linear.alphas_cumprod[4], 0.9993009567260742);
  SchedulerConfig config;
  config.beta_schedule = "scaled_linear";
  config.beta_start = 0.00085;
  config.beta_end = 0.012;
  config.rescale_betas_zero_snr = true;
  const NoiseSchedule rescaled = make_schedule(config).value();
  EXPECT_EQ(rescaled.betas[0], 0.0008500218391418457);
  EXPECT_EQ(rescaled.betas[7], 0.0009481310844421387);
  EXPECT_EQ(rescaled.betas[997], 0.557568371295929);
  EXPECT_EQ(rescaled.alphas_cumprod[997], 7.907650001470756e-07);
}

TEST(Schedule, ZeroTerminalSnrEndsWithoutSignalAndKeepsTheStart) {
  SchedulerConfig config;
  config.rescale_betas_zero_snr = true;
  for (Arithmetic arithmetic : {Arithmetic::kDouble, Arithmetic::kFloat32AsDiffusers}) {
    const NoiseSchedule rescaled = make_schedule(config, arithmetic).value();
    EXPECT_EQ(rescaled.alphas_cumprod.back(), 0);
    EXPECT_EQ(rescaled.betas.back(), 1);
    EXPECT_NEAR(rescaled.alpha_bar(0), 0.9999, 1e-7);
    EXPECT_EQ(rescaled.snr(999), 0);
  }
}

TEST(Schedule, EveryKindDecreasesForAnyNumberOfTimesteps) {
  for (const char* name : {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"}) {
    for (int timesteps : {1, 2, 7, 1000, 4000}) {
      const NoiseSchedule schedule = schedule_of(name, Arithmetic::kDouble, timesteps);
      ASSERT_EQ(schedule.num_timesteps(), timesteps);
      for (int t = 0; t < timesteps; ++t) {
        ASSERT_LT(schedule.alpha_bar(t), schedule.alpha_bar(t - 1)) << name << " " << t;
        ASSERT_GT(schedule.alpha_bar(t), 0) << name << " " << t;
        ASSERT_NEAR(schedule.alpha(t), schedule.alpha_bar(t) / schedule.alpha_bar(t - 1), 1e-12);
      }
    }
  }
}

TEST(Schedule, SigmoidIsSymmetricBetweenItsEnds) {
  const NoiseSchedule sigmoid = schedule_of("sigmoid");
  const double middle = (1e-4 + 0.02) / 2;
  for (size_t i = 0; i < 500; ++i)
    EXPECT_NEAR(sigmoid.betas[i] + sigmoid.betas[999 - i], 2 * middle, 1e-14);
  EXPECT_NEAR(sigmoid.betas[0], 1e-4 + (0.02 - 1e-4) / (1 + std::exp(6.0)), 1e-16);
}

// The log-SNR's law is Laplace's: λ(u) = μ - b sgn(0.5 - u) ln(1 - 2|u - 0.5|) with μ = 0 and b =
// 1/2 (Hang et al. 2024, table 1). diffusers takes √(SNR/(1+SNR)) for ᾱ and adds 1e-6 to the
// logarithm's argument, so that SNR is 1000 at u = 0; its betas are ratios, so their products
// telescope.
TEST(Schedule, LaplaceIsTheClosedFormOfItsLogSnr) {
  const NoiseSchedule laplace = schedule_of("laplace");
  const auto lambda = [](double u) {
    return -0.5 * (u < 0.5 ? 1 : -1) * std::log(1 - 2 * std::fabs(u - 0.5));
  };
  const auto root = [](double snr) { return std::sqrt(snr / (1 + snr)); };
  for (int t : {0, 1, 24, 99, 249, 499, 749, 899, 989}) {
    const double closed = root(std::exp(lambda((t + 1) / 1000.0))) / root(1000);
    // The 1e-6 beside 0.02 changes λ by 2.5e-5, and ln ᾱ by half of that.
    EXPECT_NEAR(laplace.alpha_bar(t) / closed, 1, 2e-5) << t;
  }
  // The law's quartiles: λ = ±(ln 2)/2, SNR √2 and its inverse.
  EXPECT_NEAR(laplace.alpha_bar(249), root(std::sqrt(2.0)) / root(1000), 1e-6);
  EXPECT_NEAR(laplace.alpha_bar(749), root(std::sqrt(0.5)) / root(1000), 1e-6);
  // The published function evaluated in double precision.
  EXPECT_NEAR(laplace.betas[0], 0.021153757200412016, 1e-15);
  EXPECT_NEAR(laplace.betas[249], 0.0004147140130916771, 1e-15);
  EXPECT_NEAR(laplace.betas[999], 0.8472526270584196, 1e-15);
  EXPECT_NEAR(laplace.alpha_bar(899), 0.5561713276642225, 1e-12);
  EXPECT_NEAR(laplace.alpha_bar(999), std::sqrt(1e-3), 1e-12);
}

TEST(Schedule, TrainedBetasReplaceTheFormula) {
  SchedulerConfig config;
  config.num_train_timesteps = 3;
  config.trained_betas = std::vector<double>{0.1, 0.2, 0.5};
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  EXPECT_DOUBLE_EQ(schedule.alpha_bar(2), 0.9 * 0.8 * 0.5);
}

TEST(Schedule, BadConfigsAreNamed) {
  const auto message = [](auto change) {
    SchedulerConfig config;
    change(config);
    const Result<NoiseSchedule> schedule = make_schedule(config);
    return schedule.ok() ? std::string() : schedule.error().message;
  };
  EXPECT_NE(message([](auto& c) { c.beta_schedule = "cubic"; }).find("\"cubic\""),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.num_train_timesteps = 0; }).find("num_train_timesteps"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.beta_start = -1; }).find("timestep 0"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.beta_end = 1.5; }).find("(0, 1)"), std::string::npos);
  EXPECT_NE(message([](auto& c) {
              c.trained_betas = std::vector<double>{0.1};
            }).find("trained_betas has 1 values"),
            std::string::npos);
}

TEST(Timesteps, SpacingsFollowLinEtAlTable2) {
  using V = std::vector<int>;
  EXPECT_EQ(spaced_timesteps(Spacing::kLeading, 1000, 5, 1).value(), (V{801, 601, 401, 201, 1}));
  EXPECT_EQ(spaced_timesteps(Spacing::kTrailing, 1000, 5, 0).value(), (V{999, 799, 599, 399, 199}));
  EXPECT_EQ(spaced_timesteps(Spacing::kLinspace, 1000, 10, 0).value(),
            (V{999, 888, 777, 666, 555, 444, 333, 222, 111, 0}));
  EXPECT_EQ(spaced_timesteps(Spacing::kLinspace, 1000, 1, 0).value(), (V{0}));
  EXPECT_EQ(spaced_timesteps(Spacing::kTrailing, 1000, 1, 0).value(), (V{999}));
  EXPECT_EQ(spaced_timesteps(Spacing::kTrailing, 1000, 3, 0).value(), (V{999, 666, 332}));
  EXPECT_EQ(spaced_timesteps(Spacing::kLeading, 3, 3, 0).value(), (V{2, 1, 0}));
}

// In particular, trailing must not visit -1 where T/steps is rounded down.
TEST(Timesteps, EverySpacingGivesDistinctDescendingTimesteps) {
  for (int T : {1, 2, 10, 25, 1000})
    for (int steps = 1; steps <= T; ++steps)
      for (Spacing spacing : {Spacing::kLeading, Spacing::kTrailing, Spacing::kLinspace}) {
        const Result<std::vector<int>> spaced = spaced_timesteps(spacing, T, steps, 0);
        ASSERT_TRUE(spaced.ok()) << spaced.error().message;
        const std::vector<int>& timesteps = *spaced;
        ASSERT_EQ(timesteps.size(), static_cast<size_t>(steps));
        ASSERT_TRUE(check_timesteps(timesteps, T).ok()) << T << " " << steps;
      }
}

TEST(Timesteps, ImpossibleRequestsAreErrors) {
  EXPECT_FALSE(spaced_timesteps(Spacing::kLeading, 1000, 0, 0).ok());
  EXPECT_FALSE(spaced_timesteps(Spacing::kLeading, 1000, -3, 0).ok());
  EXPECT_FALSE(spaced_timesteps(Spacing::kLeading, 1000, 1001, 0).ok());
  EXPECT_FALSE(spaced_timesteps(Spacing::kLeading, 1000, 1000, 1).ok());
  EXPECT_FALSE(check_timesteps({}, 1000).ok());
  EXPECT_FALSE(check_timesteps({10, 20}, 1000).ok());
  EXPECT_FALSE(check_timesteps({1000, 20}, 1000).ok());
  EXPECT_FALSE(spacing_from_name("uniform").ok());
}

}  // namespace
}  // namespace ito
