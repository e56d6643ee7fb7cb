// The noise levels of solvers in σ against diffusers 0.40's (the golden schedulers' timesteps and
// sigmas, float32), and the beta quantile against what is known of it.
#include "diffusion/sigma_spacing.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/beta_quantile.h"

namespace ito {
namespace {

using Config = SchedulerConfig;

struct SpacingCase {
  const char* name;
  int steps;
  void (*change)(Config&);
  SigmaRules rules;
  std::vector<double> timesteps;
  std::vector<double> sigmas;
};

void stable_diffusion(Config& c) {
  c.beta_schedule = "scaled_linear";
  c.beta_start = 0.00085;
  c.beta_end = 0.012;
}

const SigmaRules kEuler{
    .final_sigma = SigmaRules::Final::kConfigured, .configured_range = true, .log_linear = true};
SigmaRules whole(SigmaRules::Final final_sigma, bool round) {
  return {.grid = SigmaRules::Grid::kWhole,
          .final_sigma = final_sigma,
          .flow = SigmaRules::Flow::kBelowOne,
          .repeat_least = final_sigma == SigmaRules::Final::kLeast,
          .round_karras = round,
          .clip_lambda = true};
}
const auto kConfigured = SigmaRules::Final::kConfigured;

const std::vector<SpacingCase> kCases = {
    {"linspace",
     10,
     [](Config&) {},
     kEuler,
     {999, 888, 777, 666, 555, 444, 333, 222, 111, 0},
     {157.407272, 54.5675163, 21.4174976, 9.48892117, 4.70333433, 2.55469131, 1.46235704,
      0.821935713, 0.380371392, 0.0100013297, 0}},
    {"karras",
     10,
     [](Config& c) {
       stable_diffusion(c);
       c.use_karras_sigmas = true;
     },
     kEuler,
     {999, 916.284058, 815.044983, 687.153259, 523.198914, 327.147217, 145.939041, 40.8568726,
      6.73240995, 0},
     {14.6146469, 9.10293674, 5.47840118, 3.16861105, 1.74942315, 0.914076507, 0.446920902,
      0.201399863, 0.0819110498, 0.0291675329, 0}},
    {"exponential",
     8,
     [](Config& c) { c.use_exponential_sigmas = true; },
     kEuler,
     {999, 851.499512, 672.959473, 439.991425, 177.409744, 44.4950294, 7.86974669, 0},
     {157.407272, 39.5783844, 9.95156384, 2.50221515, 0.629155397, 0.158194423, 0.0397763066,
      0.0100013297, 0}},
    {"log_linear",
     8,
     [](Config& c) {
       c.interpolation_type = "log_linear";
       c.final_sigmas_type = "sigma_min";
     },
     kEuler,
     {999, 856.285706, 713.571411, 570.857117, 428.142853, 285.428558, 142.714279, 0},
     {157.407257, 47.0331268, 14.0534515, 4.19915724, 1.25470388, 0.374904275, 0.112021014,
      0.0334717669, 0.0100013297, 0.0100013297}},
    {"leading with offset",
     10,
     [](Config& c) {
       stable_diffusion(c);
       c.timestep_spacing = "leading";
       c.steps_offset = 1;
     },
     kEuler,
     {901, 801, 701, 601, 501, 401, 301, 201, 101, 1},
     {8.39068699, 5.13443327, 3.34776497, 2.29285479, 1.62369299, 1.16821647, 0.835653245,
      0.574050725, 0.346187294, 0.041314479, 0}},
    {"trailing, zero terminal SNR",
     8,
     [](Config& c) {
       stable_diffusion(c);
       c.timestep_spacing = "trailing";
       c.rescale_betas_zero_snr = true;
     },
     kEuler,
     {999, 874, 749, 624, 499, 374, 249, 124},
     {4095.99976, 13.7663231, 5.39874077, 2.89619088, 1.76808107, 1.13837636, 0.727056384,
      0.413727224, 0}},
    {"whole, exponential",
     8,
     [](Config& c) {
       stable_diffusion(c);
       c.use_exponential_sigmas = true;
       c.final_sigmas_type = "sigma_min";
     },
     whole(kConfigured, true),
     {998, 834, 621, 359, 133, 30, 4, 0},
     {14.6146469, 6.01298285, 2.47395372, 1.0178721, 0.418788582, 0.172304437, 0.0708921403,
      0.0291675329, 0.0291675329}},
    {"whole, Karras",
     10,
     [](Config& c) {
       stable_diffusion(c);
       c.use_karras_sigmas = true;
     },
     whole(SigmaRules::Final::kLeast, true),
     {999, 916, 815, 687, 523, 327, 146, 41, 7, 0},
     {14.6146469, 9.10293674, 5.47840118, 3.16861105, 1.74942315, 0.914076507, 0.446920902,
      0.201399863, 0.0819110498, 0.0291675329, 0.0291675329}},
    {"whole, leading",
     8,
     [](Config& c) {
       stable_diffusion(c);
       c.timestep_spacing = "leading";
       c.steps_offset = 1;
     },
     whole(kConfigured, true),
     {889, 778, 667, 556, 445, 334, 223, 112},
     {7.88058472, 4.62962151, 2.92954993, 1.95691228, 1.34934688, 0.935510159, 0.627445877,
      0.37089923, 0}},
    {"whole, linspace",
     10,
     [](Config&) {},
     whole(kConfigured, true),
     {999, 899, 799, 699, 599, 500, 400, 300, 200, 100},
     {157.407272, 60.2714119, 25.5284843, 11.9395199, 6.13521004, 3.44296741, 2.04108715, 1.2401613,
      0.723591208, 0.342260122, 0}},
    {"flow",
     8,
     [](Config& c) {
       c.use_flow_sigmas = true;
       c.flow_shift = 3;
     },
     whole(kConfigured, true),
     {999, 954, 899, 832, 749, 642, 499, 299},
     {0.999666452, 0.954198122, 0.899639785, 0.832962751, 0.749624789, 0.642489612, 0.499666542,
      0.299759954, 0}},
};

Result<SigmaSteps> steps_of(const Config& config, const SolverOptions& options,
                            const SigmaRules& rules) {
  const Result<NoiseSchedule> schedule = make_sigma_schedule(config, options.arithmetic);
  if (!schedule.ok()) return schedule.error();
  return sigma_steps(config, *schedule, options, rules);
}

Config linspace_config() {
  Config config;
  config.timestep_spacing = "linspace";
  return config;
}

TEST(SigmaSpacing, MatchesDiffusers) {
  for (const SpacingCase& c : kCases) {
    SCOPED_TRACE(c.name);
    Config config = linspace_config();
    c.change(config);
    const SigmaSteps steps = steps_of(config, {.steps = c.steps}, c.rules).value();
    ASSERT_EQ(steps.timesteps.size(), c.timesteps.size());
    ASSERT_EQ(steps.sigmas.size(), c.sigmas.size());
    // Whole timesteps are the same; others differ by the last place of float32 logarithms over the
    // slope of log σ, σ by a few units in the last place.
    for (size_t i = 0; i < c.timesteps.size(); ++i) {
      const bool is_whole = c.timesteps[i] == std::trunc(c.timesteps[i]);
      EXPECT_NEAR(steps.timesteps[i], c.timesteps[i], is_whole ? 0 : 2e-4) << i;
    }
    for (size_t i = 0; i < c.sigmas.size(); ++i)
      EXPECT_NEAR(steps.sigmas[i], c.sigmas[i], 1e-6 * c.sigmas[i]) << i;
  }
}

// The cosine schedule's last ᾱ has three significant digits in float32, so its least λ, and the
// first timesteps with it, are only as exact: within 1, as where diffusers itself runs in float64.
TEST(SigmaSpacing, LuLevelsOfTheCosineScheduleAreTruncated) {
  Config config = linspace_config();
  config.beta_schedule = "squaredcos_cap_v2";
  config.use_lu_lambdas = true;
  config.lambda_min_clipped = -5.1;
  const std::vector<double> expected = {999, 998, 996, 979, 838, 269, 26, 0};
  const SigmaSteps steps = steps_of(config, {.steps = 8}, whole(kConfigured, false)).value();
  ASSERT_EQ(steps.timesteps.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(steps.timesteps[i], expected[i], 1);
  EXPECT_NEAR(steps.sigmas[4], 3.92127633, 1e-3);
}

TEST(SigmaSpacing, ClippingLambdaSkipsTheNoisiestTimesteps) {
  Config config = linspace_config();
  const NoiseSchedule schedule = make_sigma_schedule(config, Arithmetic::kDouble).value();
  const SolverOptions options{.steps = 10, .arithmetic = Arithmetic::kDouble};
  config.lambda_min_clipped = -2;
  const SigmaSteps steps = sigma_steps(config, schedule, options, whole(kConfigured, true)).value();
  const int first = static_cast<int>(steps.timesteps[0]);
  EXPECT_LT(first, 999);
  // e^-λ = σ.
  EXPECT_LE(sigma_table(schedule).at(first), std::exp(2.0));
  EXPECT_GT(sigma_table(schedule).at(first + 1), std::exp(2.0));
}

TEST(SigmaSpacing, TimestepsAreFoundAgainFromTheirLevels) {
  const NoiseSchedule schedule = make_schedule({}, Arithmetic::kDouble).value();
  const SigmaTable table = sigma_table(schedule);
  for (int t : {0, 1, 500, 998, 999}) EXPECT_NEAR(table.timestep_of(table.at(t)), t, 1e-9) << t;
  EXPECT_EQ(table.timestep_of(0), 0);
  EXPECT_EQ(table.timestep_of(1e6), 999);
}

TEST(SigmaSpacing, BetaLevelsAreSymmetricAboutTheMiddle) {
  const std::vector<double> sigmas = beta_sigmas(1, 3, 7);
  EXPECT_EQ(sigmas.front(), 3);
  EXPECT_EQ(sigmas.back(), 1);
  for (size_t i = 0; i < sigmas.size(); ++i)
    EXPECT_NEAR(sigmas[i] + sigmas[sigmas.size() - 1 - i], 4, 1e-13) << i;
}

TEST(SigmaSpacing, RefusesWhatDiffusersRefuses) {
  Config config = linspace_config();
  config.use_karras_sigmas = config.use_beta_sigmas = true;
  EXPECT_FALSE(steps_of(config, {.steps = 5}, kEuler).ok());
  config.use_beta_sigmas = false;
  EXPECT_TRUE(steps_of(config, {.steps = 5}, kEuler).ok());
  EXPECT_FALSE(steps_of(config, {.steps = 5, .timesteps = {5, 2}}, kEuler).ok());
  EXPECT_FALSE(steps_of(config, {.steps = 0}, kEuler).ok());
  config.final_sigmas_type = "one";
  EXPECT_FALSE(steps_of(config, {.steps = 5}, kEuler).ok());
}

// The arcsine law's distribution function is 2/π asin √x.
TEST(BetaQuantile, IsTheArcsineLawForHalves) {
  for (double p : {1e-6, 0.01, 0.3, 0.5, 0.8, 0.999})
    EXPECT_NEAR(beta_quantile(p, 0.5, 0.5), std::pow(std::sin(p * M_PI / 2), 2), 1e-13) << p;
}

TEST(BetaQuantile, InvertsTheProbability) {
  for (double p : {1e-9, 1e-3, 0.2, 0.5, 0.77, 0.9999})
    EXPECT_NEAR(beta_probability(beta_quantile(p, 0.6, 0.6), 0.6, 0.6), p, 1e-13) << p;
  EXPECT_NEAR(beta_quantile(0.5, 0.6, 0.6), 0.5, 1e-15);
  // Of Beta(2, 2) the distribution function is 3x² - 2x³.
  EXPECT_NEAR(beta_probability(0.25, 2, 2), 3.0 / 16 - 2.0 / 64, 1e-15);
}

}  // namespace
}  // namespace ito
