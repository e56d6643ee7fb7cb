// Guidance where everything is known: at scale 1 the guided score of a mixture is the score of the
// class's component, for every process and every meaning of a network's output.
#include "diffusion/guidance.h"

#include "diffusion/predictor_corrector.h"
#include "diffusion/samplers.h"
#include "graph/builder.h"
#include "tests/diffusion/method_device.h"
#include "tests/diffusion/method_loop.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/support/run_program.h"

namespace ito::test {
namespace {

// Three overlapping classes in the plane.
const GaussianMixture kMixture{{0.5, 0.3, 0.2},
                               {{-0.6, 0.1}, {0.5, 0.4}, {0.2, -0.7}},
                               {{0.40, 0.60}, {0.50, 0.30}, {0.35, 0.45}}};

GaussianMixture component(size_t k) {
  return {{1.0}, {kMixture.means[k]}, {kMixture.variances[k]}};
}

const std::vector<double> kPoints = {0.3, -0.2, -1.1, 0.8, 0.05, 1.4, 2.0, -0.5, -0.4, -0.9};
constexpr int64_t kCount = 5;

std::vector<double> values_at(const std::function<Tensor(Tensor, Tensor)>& function,
                              std::vector<double> times) {
  Graph graph;
  const Tensor y = function(input(graph, "x", {kCount, 2}), input(graph, "t", {kCount}));
  const auto results =
      interpret({y}, {{"x", {{kCount, 2}, kPoints}}, {"t", {{kCount}, std::move(times)}}});
  EXPECT_TRUE(results.ok());
  return (*results)[0].data;
}

LogProbability class_probability(uint32_t label, const MarginalFunction& marginal) {
  return [label, marginal](Tensor x, Tensor t) {
    const Tensor labels = full(x.graph(), {x.dim(0)}, label, DType::kU32);
    return mixture_class_log_probability(kMixture, marginal, labels)(x, t);
  };
}

// Closed forms in float64 on both sides; only the order of operations differs.
constexpr double kRounding = 1e-9;

TEST(Guidance, ScoreAtScaleOneIsTheClassConditionalScore) {
  for (const Sde::Kind kind :
       {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp, Sde::Kind::kEdm}) {
    const Sde sde{.kind = kind, .sigma_max = 5};
    for (uint32_t label : {0u, 1u, 2u}) {
      const std::vector<double> times = {0.01, 0.2, 0.5, 0.8, 1};
      const std::vector<double> guided =
          values_at(guided_score(mixture_score(kMixture, sde),
                                 class_probability(label, sde_marginal(sde)), 1),
                    times);
      const std::vector<double> exact = values_at(mixture_score(component(label), sde), times);
      EXPECT_LT(relative_error(guided, exact), kRounding) << sde_name(kind) << label;
    }
  }
}

TEST(Guidance, DenoiserAtScaleOneIsTheClassConditionalOne) {
  const NoiseSchedule schedule = make_schedule(SchedulerConfig{}, Arithmetic::kDouble).value();
  for (const Prediction prediction :
       {Prediction::kEpsilon, Prediction::kSample, Prediction::kV, Prediction::kScore}) {
    const std::vector<double> times = {0, 10, 300, 700, 999};
    const Denoiser guided = guided_denoiser(mixture_denoiser(kMixture, schedule, prediction),
                                            prediction, schedule_marginal(schedule),
                                            class_probability(1, schedule_marginal(schedule)), 1);
    const std::vector<double> exact =
        values_at(mixture_denoiser(component(1), schedule, prediction), times);
    EXPECT_LT(relative_error(values_at(guided, times), exact), 1e-8)
        << static_cast<int>(prediction);
  }
}

TEST(Guidance, ScaleMultipliesTheChangeAndZeroChangesNothing) {
  const NoiseSchedule schedule = make_schedule(SchedulerConfig{}, Arithmetic::kDouble).value();
  const MarginalFunction marginal = schedule_marginal(schedule);
  const Denoiser plain = mixture_denoiser(kMixture, schedule, Prediction::kEpsilon);
  const std::vector<double> times(kCount, 200);
  const auto at = [&](double scale) {
    return values_at(guided_denoiser(plain, Prediction::kEpsilon, marginal,
                                     class_probability(2, marginal), scale),
                     times);
  };
  const std::vector<double> zero = at(0), one = at(1), four = at(4);
  EXPECT_EQ(zero, values_at(plain, times));
  for (size_t i = 0; i < zero.size(); ++i)
    EXPECT_NEAR(four[i] - zero[i], 4 * (one[i] - zero[i]), 1e-12);
}

TEST(Guidance, LearnedVarianceIsLeftAlone) {
  const NoiseSchedule schedule = make_schedule(SchedulerConfig{}, Arithmetic::kDouble).value();
  const MarginalFunction marginal = schedule_marginal(schedule);
  const Denoiser plain = mixture_denoiser(kMixture, schedule, Prediction::kEpsilon);
  const Denoiser with_variance = [&](Tensor x, Tensor t) { return concat({plain(x, t), x}, 1); };
  const auto guide = [&](const Denoiser& denoiser) {
    return values_at(guided_denoiser(denoiser, Prediction::kEpsilon, marginal,
                                     class_probability(0, marginal), 2),
                     std::vector<double>(kCount, 400));
  };
  const std::vector<double> narrow = guide(plain), wide = guide(with_variance);
  for (size_t i = 0; i < kCount; ++i) {
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(wide[4 * i + k], narrow[2 * i + k]);
      EXPECT_EQ(wide[4 * i + 2 + k], kPoints[2 * i + k]);
    }
  }
}

class GuidedChains : public DeviceMethod {
 protected:
  // The share of samples at which the class's exact posterior is the largest of all.
  static double recognised(const std::vector<float>& samples, size_t label) {
    size_t count = 0;
    for (size_t i = 0; i < samples.size(); i += 2) {
      double best = 0;
      size_t winner = 0;
      for (size_t k = 0; k < 3; ++k) {
        double density = kMixture.weights[k];
        for (size_t d = 0; d < 2; ++d) {
          const double e = samples[i + d] - kMixture.means[k][d], v = kMixture.variances[k][d];
          density *= std::exp(-e * e / (2 * v)) / std::sqrt(v);
        }
        if (density > best) {
          best = density;
          winner = k;
        }
      }
      count += winner == label;
    }
    return static_cast<double>(count) / static_cast<double>(samples.size() / 2);
  }
};

TEST_F(GuidedChains, LargerScalesAreRecognisedMoreOften) {
  const Sde sde{.kind = Sde::Kind::kVp};
  double last = 0;
  for (double scale : {0.0, 1.0, 2.0, 4.0}) {
    const ScoreFunction score =
        guided_score(mixture_score(kMixture, sde), class_probability(2, sde_marginal(sde)), scale);
    ASSERT_OK_AND_ASSIGN(
        const Method chain,
        predictor_corrector(sde, score, {.predictor = Predictor::kReverseDiffusion, .steps = 100}));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> samples, sample(chain, {.shape = {20000, 2}}));
    const double share = recognised(samples, 2);
    // Steps of 4 standard errors of a share, at least.
    EXPECT_GT(share, last + 4 * std::sqrt(0.25 / 20000)) << "scale " << scale;
    last = share;
  }
  EXPECT_GT(last, 0.95);
}

// The class's own mean and variance, at scale 1.
TEST_F(GuidedChains, SamplesAtScaleOneAreTheClass) {
  const Sde sde{.kind = Sde::Kind::kVp};
  const ScoreFunction score =
      guided_score(mixture_score(kMixture, sde), class_probability(1, sde_marginal(sde)), 1);
  const PredictorCorrectorOptions options{.predictor = Predictor::kReverseDiffusion, .steps = 200};
  ASSERT_OK_AND_ASSIGN(const Method chain, predictor_corrector(sde, score, options));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> samples, sample(chain, {.shape = {50000, 2}}));
  for (size_t d = 0; d < 2; ++d) {
    // What this chain makes of the class alone, without sampling.
    const GaussianMixture marginal{{1}, {{kMixture.means[1][d]}}, {{kMixture.variances[1][d]}}};
    ASSERT_OK_AND_ASSIGN(const Method alone,
                         predictor_corrector(sde, mixture_score(marginal, sde), options));
    const Moments exact = method_moments(alone, {.mean = 0, .variance = 1}).back();
    EXPECT_WITHIN_4_SE(estimate(samples, 2, [&](const float* x) { return x[d]; }), exact.mean);
    EXPECT_WITHIN_4_SE(
        estimate(samples, 2,
                 [&](const float* x) { return (x[d] - exact.mean) * (x[d] - exact.mean); }),
        exact.variance);
  }
}

}  // namespace
}  // namespace ito::test
