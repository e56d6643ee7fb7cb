// 100,000 chains of every reverse-SDE sampler on the device, with exact scores on Gaussian data
// against the exact moments of the discretised process; the Langevin corrector's norms; EDM's
// sampler on a mixture whose modes have two variances. Every sampler on a mixture is
// sampler_law_test.cpp.
#include "diffusion/edm_sampler.h"
#include "diffusion/predictor_corrector.h"
#include "tests/diffusion/method_loop.h"
#include "tests/diffusion/mixture_statistics.h"
#include "tests/diffusion/sampler_law.h"

namespace ito::test {
namespace {

class SamplerStatistics : public DeviceMethod {};

// Both axes of the data are Gaussian and each follows its own affine recursion, so that they stay
// independent. The Langevin corrector's step is affine too if its norms are those of so large a
// batch; the law then needs E|s|, and is that of exact_law.h instead of one read off the program.
TEST_F(SamplerStatistics, GaussianChainsHaveTheMomentsOfTheirDiscretisation) {
  const PlaneData data{.along = {{1.0}, {{0.5}}, {{0.25}}}, .across = {{1.0}, {{-1.0}}, {{2.0}}}};
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
      for (const Corrector corrector : {Corrector::kNone, Corrector::kLangevin, Corrector::kAld}) {
        const PredictorCorrectorOptions options{.predictor = predictor,
                                                .corrector = corrector,
                                                .steps = 5,
                                                .denoise = false,
                                                .norm_over = NormOver::kBatch};
        const Result<Method> chain =
            predictor_corrector(sde, mixture_score(data.mixture(), sde), options);
        if (!chain.ok()) continue;  // none with none, ancestral sub-VP: IsAProduct says which
        SCOPED_TRACE(chain->name);
        ASSERT_OK_AND_ASSIGN(
            const std::vector<float> x,
            sample(*chain, {.shape = {kChains, 2}, .initial_std = sde.prior_std()}));
        PlaneLaw law = PlaneLaw::noise(data, sde.prior_std());
        follow_predictor_corrector(law, *chain, sde, predictor, corrector);
        expect_law(x, law);
        if (corrector == Corrector::kLangevin) continue;
        for (const bool along : {true, false}) {
          const GaussianMixture& axis = along ? data.along : data.across;
          const Moments read_off =
              method_moments(predictor_corrector(sde, mixture_score(axis, sde), options).value(),
                             {.mean = 0, .variance = sde.prior_std() * sde.prior_std()})
                  .back();
          const PlaneMoments found = law.moments();
          // The tables on the device are float32, and up to ten moves of some 1e-7 add up.
          EXPECT_NEAR(along ? found.along : found.across, read_off.mean, 1e-5);
          EXPECT_NEAR(along ? found.variance_along : found.variance_across, read_off.variance,
                      1e-5 * (1 + read_off.variance));
        }
      }
    }
  }
}

// One move of the Langevin corrector on N(0, v) in D dimensions. With the batch's norms ε = 2 snr²
// v is the same for all, and |x|² becomes D v (1 + 4 snr⁴). With each image's own, ε = 2 (snr |z|
// v/|x|)² depends on x, and |x|² becomes D v (1 - 4 snr² + 4 snr² (1 + snr²) (D+2)/(D-2)).
// Where the corrector then rests: from x ~ N(0, w), its pull takes 4 snr² D v from E|x|², whatever
// w, as ε s·x = -2 snr² |z|² v; its noise and the square of its pull add 4 snr² (1 + snr²) v² E|z|⁴
// E|x|^-2 = 4 snr² (1 + snr²) D (D+2)/(D-2) v²/w. They balance at w = v (1 + snr²) (D+2)/(D-2): too
// wide by 4/D and a little. In the plane E|x|^-2 is infinite, so chains there take the batch's
// norms.
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
    const Method chain = predictor_corrector(sde, mixture_score(data, sde), options).value();
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
    const Method chain = edm_sampler(sde, mixture_score(two_modes(), sde), options).value();
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
  const Method chain = predictor_corrector(sde, mixture_score(two_modes(), sde),
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
