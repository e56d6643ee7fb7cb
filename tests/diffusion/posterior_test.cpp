#include "diffusion/posterior.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ito {
namespace {

NoiseSchedule linear(Arithmetic arithmetic) {
  return make_schedule(SchedulerConfig{}, arithmetic).value();
}

// Bayes on one pixel: q(x_s | x_t, x_0) ∝ q(x_t | x_s) q(x_s | x_0), both Gaussian in x_s.
TEST(Posterior, IsBayesRuleOnTheChain) {
  const NoiseSchedule schedule = linear(Arithmetic::kDouble);
  for (auto [t, s] : {std::pair{1, 0}, {500, 499}, {999, 998}, {700, 300}, {999, 0}}) {
    const double alpha = schedule.alpha_bar(t) / schedule.alpha_bar(s);  // of the respaced step
    const double step_variance = 1 - alpha;
    const double prior_variance = 1 - schedule.alpha_bar(s);
    const double variance = 1 / (alpha / step_variance + 1 / prior_variance);
    const Posterior p = posterior(schedule, t, s);
    EXPECT_NEAR(p.variance, variance, 1e-12);
    EXPECT_NEAR(p.on_x, variance * std::sqrt(alpha) / step_variance, 1e-10);
    EXPECT_NEAR(p.on_x0, variance * std::sqrt(schedule.alpha_bar(s)) / prior_variance, 1e-10);
  }
}

// Adding the posterior's spread to q(x_t | x_0) must give q(x_s | x_0).
TEST(Posterior, ComposesWithTheForwardMarginal) {
  const NoiseSchedule schedule = linear(Arithmetic::kDouble);
  for (auto [t, s] : {std::pair{1, 0}, {500, 499}, {999, 998}, {700, 300}}) {
    const Posterior p = posterior(schedule, t, s);
    const double a = std::sqrt(schedule.alpha_bar(t));
    EXPECT_NEAR(p.on_x * a + p.on_x0, std::sqrt(schedule.alpha_bar(s)), 1e-12);
    EXPECT_NEAR(p.on_x * p.on_x * (1 - schedule.alpha_bar(t)) + p.variance,
                1 - schedule.alpha_bar(s), 1e-12);
  }
}

TEST(Posterior, FirstTimestepReturnsToX0) {
  for (Arithmetic arithmetic : {Arithmetic::kDouble, Arithmetic::kFloat32AsDiffusers}) {
    const Posterior p = posterior(linear(arithmetic), 0, -1);
    EXPECT_EQ(p.variance, 0);
    EXPECT_EQ(p.on_x, 0);
    EXPECT_NEAR(p.on_x0, 1, 1e-6);
  }
}

// Values published with diffusers' tests, to their five digits.
TEST(Variance, DdpmMatchesPublishedValues) {
  const NoiseSchedule schedule = linear(Arithmetic::kFloat32AsDiffusers);
  const auto variance = [&](VarianceType type, int t) {
    return std::pow(reverse_std(schedule, type, t, t - 1), 2);
  };
  EXPECT_NEAR(variance(VarianceType::kFixedSmall, 0), 0.0, 1e-5);
  EXPECT_NEAR(variance(VarianceType::kFixedSmall, 487), 0.00979, 1e-5);
  EXPECT_NEAR(variance(VarianceType::kFixedSmall, 999), 0.02, 1e-5);
  EXPECT_NEAR(variance(VarianceType::kFixedLarge, 487), schedule.betas[487], 1e-6);
  for (int t : {1, 487, 999}) {
    EXPECT_NEAR(variance(VarianceType::kFixedSmallLog, t), variance(VarianceType::kFixedSmall, t),
                1e-8);
    EXPECT_NEAR(variance(VarianceType::kFixedLargeLog, t), variance(VarianceType::kFixedLarge, t),
                1e-8);
  }
}

// learned_range at v = 0.5 on the cosine schedule, as published for UnCLIP in float32, where 1 - ᾱ
// has but four digits left at t = 1.
TEST(Variance, LearnedRangeMatchesPublishedValues) {
  SchedulerConfig config;
  config.beta_schedule = "squaredcos_cap_v2";
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  struct Case {
    int t;
    double expected, tolerance;
  };
  for (const Case& c :
       {Case{1, -10.171279, 1e-4}, Case{487, -5.799805, 5e-6}, Case{999, -0.0010011, 1e-6}}) {
    const LogVarianceRange range = log_variance_range(schedule, c.t, c.t - 1);
    EXPECT_NEAR(0.75 * range.high + 0.25 * range.low, c.expected, c.tolerance) << c.t;
  }
}

TEST(Variance, DdimMatchesPublishedValues) {
  const NoiseSchedule schedule = linear(Arithmetic::kFloat32AsDiffusers);
  const auto variance = [&](int t, int s) {
    return ddim_variance(schedule.arithmetic, schedule.alpha_bar(t), schedule.alpha_bar(s));
  };
  EXPECT_NEAR(variance(420, 400), 0.14771, 1e-5);
  EXPECT_NEAR(variance(980, 960), 0.32460, 1e-5);
  EXPECT_NEAR(variance(487, 486), 0.00979, 1e-5);
  EXPECT_NEAR(variance(999, 998), 0.02, 1e-5);
}

TEST(Variance, SmallAndLargeBracketAndMeetAtLateTimes) {
  const NoiseSchedule schedule = linear(Arithmetic::kDouble);
  for (int t = 1; t < 1000; ++t)
    ASSERT_LT(reverse_std(schedule, VarianceType::kFixedSmall, t, t - 1),
              reverse_std(schedule, VarianceType::kFixedLarge, t, t - 1));
  EXPECT_NEAR(reverse_std(schedule, VarianceType::kFixedSmall, 999, 998) /
                  reverse_std(schedule, VarianceType::kFixedLarge, 999, 998),
              1, 1e-6);
}

TEST(Variance, UnknownNameIsAnError) { EXPECT_FALSE(variance_type_from_name("small").ok()); }

}  // namespace
}  // namespace ito
