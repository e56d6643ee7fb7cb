// --rng torch: PyTorch's numbers in the order in which diffusers' pipelines draw them, for samplers
// that draw several times a step, and for the flow that draws once. On a network that says zero, so
// that an image is a sum of its draws.
#include <gtest/gtest.h>

#include <cmath>

#include "api/sampling.h"
#include "diffusion/torch_rng.h"
#include "tests/apps/zero_model.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr size_t kNumbers = 64;  // of an image of zero_model

class TorchNoise : public VulkanTest {
 protected:
  static Model model() {
    SchedulerConfig ve;
    ve.process = ProcessKind::kVe;
    ve.sampler = "pc";
    ve.sigma_max = 10;
    return zero_model(8, ve);
  }
  static SampleOptions options(const std::string& sampler) {
    SampleOptions options;
    options.sampler = sampler;
    options.steps = 4;
    options.batch = 3;
    options.random = RandomSource::kTorch;
    return options;
  }
  static Result<std::vector<float>> sample(const SampleOptions& options,
                                           const std::vector<uint32_t>& seeds) {
    ITO_ASSIGN(const auto session, SamplingSession::create(device(), model(), options));
    std::vector<SampleRequest> requests;
    for (const uint32_t seed : seeds) requests.push_back({.seed = seed});
    return session->sample(requests);
  }
};

// As ScoreSdeVePipeline draws: the beginning, then in every step a normal per move of the corrector
// and one for the predictor, those of the last step included, whose own is not used.
TEST_F(TorchNoise, PredictorsAndCorrectorsDrawInTheOrderOfTheirMoves) {
  SampleOptions given = options("pc");
  given.corrector = "ald";  // whose step does not depend on the score
  given.corrector_steps = 2;
  const std::vector<uint32_t> seeds = {3, 11};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> found, sample(given, seeds));
  const Model zero = model();
  ASSERT_OK_AND_ASSIGN(const SamplingLoop loop, sampling_loop(zero.network, zero.scheduler, given));
  const std::vector<double> corrector = loop.sampling.method->column("corrector");
  const std::vector<double> predictor = loop.sampling.method->column("noise");
  ASSERT_EQ(predictor.back(), 0);
  for (size_t image = 0; image < seeds.size(); ++image) {
    TorchGenerator generator(seeds[image]);
    std::vector<float> z(kNumbers);
    std::vector<double> x(kNumbers, 0.0);
    const auto add = [&](double scale) {
      generator.randn(z);
      for (size_t i = 0; i < kNumbers; ++i) x[i] += scale * z[i];
    };
    add(loop.sampling.start_std);
    for (size_t step = 0; step < predictor.size(); ++step) {
      for (int move = 0; move < 2; ++move) add(std::sqrt(2 * corrector[step]));
      add(predictor[step]);
    }
    for (size_t i = 0; i < kNumbers; ++i)  // 13 sums of numbers around 10 in float32
      EXPECT_NEAR(found[image * kNumbers + i], x[i], 1e-4) << seeds[image] << ' ' << i;
  }
}

// With no score the flow of VE stands still: what is left is where it began.
TEST_F(TorchNoise, TheFlowBeginsAtPytorchsNumbers) {
  SampleOptions given = options("ode");
  given.steps = 0;
  ASSERT_OK_AND_ASSIGN(const std::vector<float> found, sample(given, {7}));
  std::vector<float> z(kNumbers);
  TorchGenerator(7).randn(z);
  for (size_t i = 0; i < kNumbers; ++i) EXPECT_NEAR(found[i], 10 * z[i], 1e-4) << i;
}

TEST_F(TorchNoise, EverySamplerOfScoresTakesIt) {
  for (const char* sampler : {"em", "reverse-diffusion", "ancestral", "ald", "edm"}) {
    const auto found = sample(options(sampler), {1});
    EXPECT_TRUE(found.ok()) << sampler << ": " << found.error().message;
  }
}

}  // namespace
}  // namespace ito::test
