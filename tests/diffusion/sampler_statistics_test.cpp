// 100,000 chains of every reverse-SDE sampler on the device, with exact scores: on Gaussian data
// against the exact moments of the discretised process, on a mixture against the mixture.
#include "diffusion/edm_sampler.h"
#include "diffusion/predictor_corrector.h"
#include "tests/diffusion/chain_loop.h"
#include "tests/diffusion/mixture_statistics.h"

namespace ito::test {
namespace {

class SamplerStatistics : public DeviceChain {};

// Both axes of the data are Gaussian, so each follows its own affine recursion.
TEST_F(SamplerStatistics, GaussianChainsHaveTheMomentsOfTheirDiscretisation) {
  const std::vector<double> means = {0.5, -1}, variances = {0.25, 2};
  const GaussianMixture data{{1.0}, {means}, {variances}};
  const std::vector<Sde> sdes = {
      {.kind = Sde::Kind::kVe, .sigma_min = 0.05, .sigma_max = 5},
      {.kind = Sde::Kind::kVp, .beta_max = 4},
      {.kind = Sde::Kind::kSubVp, .beta_max = 4},
      {.kind = Sde::Kind::kEdm, .sigma_min = 0.05, .sigma_max = 5},
  };
  for (const Sde& sde : sdes) {
    for (const Predictor predictor :
         {Predictor::kNone, Predictor::kEulerMaruyama, Predictor::kReverseDiffusion,
          Predictor::kReverseDiffusionOde, Predictor::kAncestral}) {
      for (const Corrector corrector : {Corrector::kNone, Corrector::kAld}) {
        const PredictorCorrectorOptions options{
            .predictor = predictor, .corrector = corrector, .steps = 5, .denoise = false};
        const Result<Chain> chain = predictor_corrector(sde, mixture_score(data, sde), options);
        if (!chain.ok()) continue;  // none with none, ancestral sub-VP: IsAProduct says which
        SCOPED_TRACE(chain->name);
        ASSERT_OK_AND_ASSIGN(
            const std::vector<float> x,
            sample(*chain, {.shape = {kChains, 2}, .initial_std = sde.prior_std()}));
        for (size_t d = 0; d < 2; ++d) {
          const GaussianMixture axis{{1.0}, {{means[d]}}, {{variances[d]}}};
          const Moments expected =
              chain_moments(predictor_corrector(sde, mixture_score(axis, sde), options).value(),
                            {.mean = 0, .variance = sde.prior_std() * sde.prior_std()})
                  .back();
          EXPECT_WITHIN_4_SE(estimate(x, 2, [&](const float* p) { return p[d]; }), expected.mean);
          EXPECT_WITHIN_4_SE(
              estimate(x, 2, [&](const float* p) { return std::pow(p[d] - expected.mean, 2); }),
              expected.variance);
        }
      }
    }
  }
}

struct MixtureCase {
  Sde::Kind kind;
  Predictor predictor;
  Corrector corrector;
  int steps;
};

std::vector<MixtureCase> mixture_cases() {
  using K = Sde::Kind;
  using P = Predictor;
  using C = Corrector;
  return {
      {K::kVp, P::kEulerMaruyama, C::kNone, 100},
      {K::kVp, P::kReverseDiffusion, C::kNone, 120},
      {K::kVp, P::kReverseDiffusionOde, C::kNone, 120},
      {K::kVp, P::kAncestral, C::kNone, 80},
      {K::kVp, P::kAncestral, C::kLangevin, 80},
      {K::kSubVp, P::kEulerMaruyama, C::kNone, 100},
      {K::kSubVp, P::kReverseDiffusionOde, C::kNone, 60},
      {K::kVe, P::kEulerMaruyama, C::kNone, 60},
      {K::kVe, P::kReverseDiffusion, C::kNone, 200},
      {K::kVe, P::kReverseDiffusionOde, C::kNone, 150},
      {K::kVe, P::kAncestral, C::kNone, 300},
      {K::kVe, P::kReverseDiffusion, C::kAld, 150},
  };
}

// From exact samples of the noised mixture at the end, back to the data. The numbers of steps make
// the bias of the discretisation, of order 1/N, about a standard error of the mixture's moments or
// less, by the affine recursion on Gaussian data of the modes' variance. The Langevin corrector is
// that of the batch, whose step is the same for all chains.
TEST_F(SamplerStatistics, MixtureChainsHaveItsMomentsAndWeights) {
  for (const MixtureCase& c : mixture_cases()) {
    const Sde sde{
        .kind = c.kind, .beta_min = 0.1, .beta_max = 2.5, .sigma_min = 0.03, .sigma_max = 1};
    const PredictorCorrectorOptions options{.predictor = c.predictor,
                                            .corrector = c.corrector,
                                            .steps = c.steps,
                                            .snr = 0.05,
                                            .denoise = false,
                                            .norm_over = NormOver::kBatch};
    const Chain chain = predictor_corrector(sde, mixture_score(two_modes(), sde), options).value();
    SCOPED_TRACE(chain.name);
    ASSERT_OK_AND_ASSIGN(
        const std::vector<float> x,
        sample(chain, {.shape = {kChains, 2},
                       .initial_x = exact_samples(noised(two_modes(), sde.mean(1), sde.std(1)))}));
    expect_mixture(x, two_modes());
  }
}

// One move of the Langevin corrector on N(0, v) in D dimensions. With the batch's norms ε = 2 snr²
// v is the same for all, and |x|² becomes D v (1 + 4 snr⁴). With each image's own, ε = 2 (snr |z|
// v/|x|)² depends on x, and |x|² becomes D v (1 - 4 snr² + 4 snr² (1 + snr²) (D+2)/(D-2)): the
// corrector's fixed point is too wide by about 4/D.
TEST_F(SamplerStatistics, LangevinCorrectorHasTheBiasOfItsNorms) {
  const int64_t dimensions = 10;
  const double d = static_cast<double>(dimensions), k = 0.2, v = 1.25;
  const GaussianMixture data{{1.0},
                             {std::vector<double>(static_cast<size_t>(dimensions), 0.0)},
                             {std::vector<double>(static_cast<size_t>(dimensions), 0.25)}};
  const Sde sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 1};
  for (const NormOver over : {NormOver::kBatch, NormOver::kImage}) {
    const PredictorCorrectorOptions options{.predictor = Predictor::kNone,
                                            .corrector = Corrector::kLangevin,
                                            .snr = k,
                                            .norm_over = over};
    const Chain chain = predictor_corrector(sde, mixture_score(data, sde), options).value();
    ASSERT_OK_AND_ASSIGN(
        const std::vector<float> x,
        sample(chain, {.shape = {kChains, dimensions}, .initial_std = std::sqrt(v), .replays = 1}));
    const double growth = over == NormOver::kBatch
                              ? 4 * std::pow(k, 4)
                              : 4 * k * k * ((1 + k * k) * (d + 2) / (d - 2) - 1);
    const Estimate squares = estimate(x, static_cast<size_t>(dimensions), [&](const float* p) {
      double sum = 0;
      for (int64_t i = 0; i < dimensions; ++i) sum += double{p[i]} * double{p[i]};
      return sum;
    });
    EXPECT_WITHIN_4_SE(squares, d * v * (1 + growth));
  }
}

TEST_F(SamplerStatistics, EdmChainsHaveTheMixturesMomentsAndWeights) {
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.02, .sigma_max = 5};
  for (const EdmSamplerOptions& options :
       {EdmSamplerOptions{.steps = 30}, EdmSamplerOptions{.steps = 40, .s_churn = 8}}) {
    const Chain chain = edm_sampler(sde, mixture_score(two_modes(), sde), options).value();
    SCOPED_TRACE(options.s_churn);
    ASSERT_OK_AND_ASSIGN(
        const std::vector<float> x,
        sample(chain, {.shape = {kChains, 2},
                       .initial_x = exact_samples(noised(two_modes(), 1, sde.sigma_max))}));
    expect_mixture(x, two_modes());
  }
}

TEST_F(SamplerStatistics, ImageDoesNotDependOnItsBatch) {
  const Sde sde{.kind = Sde::Kind::kVp};
  const Chain chain = predictor_corrector(sde, mixture_score(two_modes(), sde),
                                          {.corrector = Corrector::kLangevin, .steps = 30})
                          .value();
  const auto run = [&](const std::vector<uint32_t>& seeds) {
    return sample(chain, {.shape = {static_cast<int64_t>(seeds.size()), 2}, .seeds = seeds});
  };
  ASSERT_OK_AND_ASSIGN(const std::vector<float> whole, run({3, 1, 4, 1000000}));
  ASSERT_OK_AND_ASSIGN(std::vector<float> joined, run({3}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> rest, run({1, 4, 1000000}));
  joined.insert(joined.end(), rest.begin(), rest.end());
  EXPECT_EQ(whole, joined);
}

}  // namespace
}  // namespace ito::test
