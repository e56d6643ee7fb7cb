// 100,000 Langevin chains on the device, with exact scores and densities, and what a diverging
// chain leaves behind.
#include "diffusion/annealed_langevin.h"
#include "diffusion/langevin.h"
#include "diffusion/noise_ladder.h"
#include "graph/builder.h"
#include "tests/diffusion/method_loop.h"
#include "tests/diffusion/mixture_statistics.h"

namespace ito::test {
namespace {

class LangevinStatistics : public DeviceMethod {};

const Sde kClean{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80};  // data at time 0
const GaussianMixture kGaussian{{1.0}, {{0.5, -1}}, {{0.25, 0.25}}};

// Unadjusted chains have the theory's variance s²/(1 - η/(4 s²)); the bias over η, regressed on η,
// has the intercept 1/4 that the O(η) term predicts, and vanishes with η.
TEST_F(LangevinStatistics, UnadjustedBiasIsTheTheorysAndOfOrderEta) {
  const double s2 = 0.25;
  const std::vector<double> etas = {0.08, 0.16, 0.24, 0.32};
  std::vector<double> ratio, weight;
  for (double eta : etas) {
    const Method chain = langevin(mixture_score(kGaussian, kClean),
                                  {.step_size = eta, .steps = static_cast<int>(6 / eta) + 5})
                             .value();
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x, sample(chain, {.shape = {kChains, 2}}));
    const Estimate variance = estimate(x, 2, [](const float* p) {
      return (std::pow(p[0] - 0.5, 2) + std::pow(p[1] + 1.0, 2)) / 2;
    });
    EXPECT_WITHIN_4_SE(variance, s2 / (1 - eta / (4 * s2)));
    EXPECT_WITHIN_4_SE(estimate(x, 2, [](const float* p) { return p[0]; }), 0.5);
    EXPECT_WITHIN_4_SE(estimate(x, 2, [](const float* p) { return (p[0] - 0.5) * (p[1] + 1); }), 0);
    ratio.push_back((variance.mean - s2) / eta);
    weight.push_back(std::pow(eta / variance.error, 2));
  }
  // Weighted least squares of bias/η = a + b η + c η²: the theory's series is 1/4 (1 + η/(4 s²) +
  // ...), of which the terms from the third on are subtracted.
  double w = 0, wx = 0, wxx = 0, wy = 0, wxy = 0;
  for (size_t i = 0; i < etas.size(); ++i) {
    const double u = etas[i] / (4 * s2);
    const double y = ratio[i] - 0.25 * (u * u / (1 - u));
    w += weight[i];
    wx += weight[i] * etas[i];
    wxx += weight[i] * etas[i] * etas[i];
    wy += weight[i] * y;
    wxy += weight[i] * etas[i] * y;
  }
  const double determinant = w * wxx - wx * wx;
  const double intercept = (wxx * wy - wx * wxy) / determinant;
  EXPECT_NEAR(intercept, 0.25, 4 * std::sqrt(wxx / determinant));
  EXPECT_LT(4 * std::sqrt(wxx / determinant), 0.2) << "too few chains to tell a bias from none";
}

// The same with x + ε s + √(2ε) z, ε = η/2 = s²: s²/(1 - ε/(2 s²)) is twice s². Five thousand steps
// need nothing of the host but their submission.
TEST_F(LangevinStatistics, ThousandsOfStepsReplayWithoutTheHost) {
  constexpr size_t kDimensions = 8;
  constexpr int64_t kImages = 2000;
  const double s2 = 0.25, epsilon = s2;
  const GaussianMixture data{
      {1.0}, {std::vector<double>(kDimensions, 0.5)}, {std::vector<double>(kDimensions, s2)}};
  const Method chain =
      langevin(mixture_score(data, kClean), {.step_size = 2 * epsilon, .steps = 5000}).value();
  ASSERT_OK_AND_ASSIGN(Plan plan, compile(method_program(chain, {.shape = {kImages, kDimensions}}),
                                          device().caps()));
  ASSERT_OK_AND_ASSIGN(const auto loop, Executor::create(device(), std::move(plan)));
  std::vector<uint32_t> seeds(kImages);
  std::iota(seeds.begin(), seeds.end(), 0);
  ASSERT_OK(write_seeds(*loop, seeds));
  ASSERT_OK(loop->run(5));  // records, and measures itself
  ASSERT_OK(loop->wait());
  const vk::Counters before = device().counters();
  ASSERT_OK(loop->run(4995));
  const vk::Counters after = device().counters();
  EXPECT_EQ(after.host_waits, before.host_waits);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.memory_blocks, before.memory_blocks);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.glsl_compilations, before.glsl_compilations);
  EXPECT_EQ(after.recordings, before.recordings);
  EXPECT_EQ(after.submits, before.submits + 4995);
  ASSERT_OK_AND_ASSIGN(const auto step, loop->read<uint32_t>("step"));
  EXPECT_EQ(step[0], 5000u);
  ASSERT_OK_AND_ASSIGN(const auto divergence, loop->read<uint32_t>("divergence"));
  ASSERT_OK(check_divergence(divergence, chain.name));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x, loop->read<float>("x"));
  EXPECT_WITHIN_4_SE(estimate(x, 1, [](const float* p) { return *p; }), 0.5);
  EXPECT_WITHIN_4_SE(estimate(x, 1, [](const float* p) { return std::pow(*p - 0.5, 2); }),
                     s2 / (1 - epsilon / (2 * s2)));
}

// Metropolis-adjusted chains converge to the mixture itself, whatever the step size.
TEST_F(LangevinStatistics, AdjustedChainsHaveNoBias) {
  const Method chain =
      metropolis_langevin(mixture_energy(two_modes(), kClean), {.step_size = 0.5, .steps = 120})
          .value();
  ASSERT_OK_AND_ASSIGN(const auto loop, run_method(chain, {.shape = {kChains, 2}}));
  ASSERT_OK_AND_ASSIGN(const auto divergence, loop->read<uint32_t>("divergence"));
  EXPECT_EQ(divergence, (std::vector<uint32_t>{0, 0}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x, loop->read<float>("x"));
  expect_mixture(x, two_modes());
  ASSERT_OK_AND_ASSIGN(const std::vector<float> accepted, loop->read<float>("history.accepted"));
  const Estimate rate = estimate(accepted, 1, [](const float* p) { return *p / 120; });
  EXPECT_GT(rate.mean, 0.6);
  EXPECT_LT(rate.mean, 0.99);
}

// Over a ladder, the moments of the whole schedule on Gaussian data are those of the affine chain,
// the last step to denoise included.
TEST_F(LangevinStatistics, AnnealedChainsHaveTheMomentsOfTheirSchedule) {
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.1, .sigma_max = 2};
  const std::vector<double> sigmas = geometric_ladder(2, 0.1, 8).value();
  for (const AnnealedForm form : {AnnealedForm::kNcsn, AnnealedForm::kNcsnV2}) {
    const AnnealedLangevinOptions options{
        .form = form, .epsilon = ladder_step_size(sigmas, 5), .steps_per_level = 5};
    const Method chain =
        annealed_langevin(sigmas, sigmas, mixture_score(kGaussian, sde), options).value();
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x,
                         sample(chain, {.shape = {kChains, 2}, .initial_std = 2}));
    const GaussianMixture axis{{1.0}, {{0.5}}, {{0.25}}};
    const Moments expected =
        method_moments(annealed_langevin(sigmas, sigmas, mixture_score(axis, sde), options).value(),
                       {.mean = 0, .variance = 4})
            .back();
    EXPECT_WITHIN_4_SE(estimate(x, 2, [](const float* p) { return p[0]; }), expected.mean);
    EXPECT_WITHIN_4_SE(
        estimate(x, 2, [&](const float* p) { return std::pow(p[0] - expected.mean, 2); }),
        expected.variance);
  }
}

// With many small steps, from exact samples of its first level, annealed Langevin samples the
// mixture noised by σ_L: α is so small that the last level's own bias (0.8 % of a mode's variance,
// by the theory of the unadjusted chain) is less than a standard error of the mixture's variance.
TEST_F(LangevinStatistics, AnnealedChainsHaveTheMixturesMomentsAndWeights) {
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.5, .sigma_max = 2};
  const std::vector<double> sigmas = {0.7, 0.6, 0.5};
  const AnnealedLangevinOptions options{.epsilon = 0.01, .steps_per_level = 150, .denoise = false};
  const Method chain =
      annealed_langevin(sigmas, sigmas, mixture_score(two_modes(), sde), options).value();
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x,
                       sample(chain, {.shape = {kChains, 2},
                                      .initial_x = exact_samples(noised(two_modes(), 1, 0.7))}));
  expect_mixture(x, noised(two_modes(), 1, 0.5));
}

class Divergence : public DeviceMethod {};

// η > 4 s² makes |1 - η/(2 s²)| > 1: the sample grows by that factor every step, and the step at
// which it passes the limit is recorded, stays, and can be read without stopping the chain.
TEST_F(Divergence, TooLargeAStepIsNamed) {
  const GaussianMixture data{{1.0}, {{0.0, 0.0}}, {{0.25, 0.25}}};
  const Method chain =
      langevin(mixture_score(data, kClean), {.step_size = 1.5, .steps = 60}).value();  // factor -2
  std::vector<float> x(8, 0.0f);
  x[5] = 1024;
  ASSERT_OK_AND_ASSIGN(const auto loop,
                       run_method(chain, {.shape = {4, 2}, .initial_x = x, .replays = 3}));
  ASSERT_OK_AND_ASSIGN(std::vector<uint32_t> words, loop->read<uint32_t>("divergence"));
  EXPECT_TRUE(check_divergence(words, chain.name).ok());
  ASSERT_OK(loop->run(40));
  ASSERT_OK_AND_ASSIGN(const vk::ReadTicket ticket, loop->enqueue_read("divergence"));
  ASSERT_OK(loop->run(17));
  ASSERT_OK(ticket.read(writable_bytes_of(words)));
  // 2^10 2^k > 10^8 for k = 17, 1e8 = 2^26.6; the noise is of order 1.
  EXPECT_EQ(words[1], 17u);
  const Status status = check_divergence(words, chain.name);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kDiverged);
  EXPECT_NE(status.error().message.find("step 17"), std::string::npos) << status.error().message;
}

// A score that is not a number is caught in the step that asks for it, and named before the sample
// that it spoils; the other images do not hide it.
TEST_F(Divergence, NonFiniteScoreIsNamed) {
  for (const bool infinite : {false, true}) {
    const ScoreFunction score = [infinite](Tensor x, Tensor) {
      // Beyond 1 infinite, e^100, or the root of a negative number.
      return infinite ? exp(floor(abs(x)) * 100.0) : sqrt(1.0 - abs(x));
    };
    const Method chain = langevin(score, {.step_size = 0.2, .steps = 20, .noise = false}).value();
    ASSERT_OK_AND_ASSIGN(
        const auto loop,
        run_method(chain, {.shape = {2, 2},
                           .initial_x = {0.5f, 0.6f, 0.7f, infinite ? 0.99f : 2.0f},
                           .replays = 20}));
    ASSERT_OK_AND_ASSIGN(const auto words, loop->read<uint32_t>("divergence"));
    // NaN at once; infinity in the step after the one that carries 0.99 beyond 1.
    EXPECT_EQ(words[0], infinite ? 2u : 1u);
    const Status status = check_divergence(words, chain.name);
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find(infinite ? "output is not finite at step 2"
                                                   : "output is not finite at step 1"),
              std::string::npos)
        << status.error().message;
  }
}

}  // namespace
}  // namespace ito::test
