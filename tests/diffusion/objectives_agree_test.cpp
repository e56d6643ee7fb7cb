// Trained on the device, small networks come to the analytic score of Gaussian data by every
// objective.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "diffusion/finite_difference_score_matching.h"
#include "diffusion/score_matching.h"
#include "diffusion/streams.h"
#include "graph/compile.h"
#include "nn/mlp.h"
#include "nn/train_step.h"
#include "runtime/executor.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int64_t kBatch = 512;
constexpr uint32_t kSteps = 400;
constexpr double kSigma = 0.5;  // of denoising score matching

class ObjectivesAgree : public VulkanTest {};

// What an objective may draw from.
struct Draw {
  Tensor key, image, step, time;
};
using Objective = std::function<Tensor(Tensor x, const Draw&, const ScoreFunction&)>;

Draw draw_of(Graph& graph, int64_t n, Tensor step) {
  return {input(graph, "key", {2}, DType::kU32), iota(graph, {n}, 0), step, full(graph, {n}, 0)};
}

// N(μ, Σ) in the plane, Σ = LLᵀ + extra I. The score is linear.
constexpr double kMean[2] = {0.5, -0.25}, kL[3] = {1.0, 0.6, 0.7};
Tensor gaussian_data(const Shape& shape, const Draw& d) {
  Graph& graph = d.key.graph();
  const Tensor z = random_normal(shape, d.key, d.image, d.step, kStreamToySpread);
  return matmul(z, constant(graph, {2, 2}, {kL[0], kL[1], 0, kL[2]})) +
         constant(graph, {2}, {kMean[0], kMean[1]});
}
ScoreFunction gaussian_score(double extra) {
  return [extra](Tensor x, Tensor) {
    const double a = kL[0] * kL[0] + extra, b = kL[0] * kL[1],
                 c = kL[1] * kL[1] + kL[2] * kL[2] + extra, det = a * c - b * b;
    Graph& graph = x.graph();
    const Tensor precision = constant(graph, {2, 2}, {-c / det, b / det, b / det, -a / det});
    return matmul(x - constant(graph, {2}, {kMean[0], kMean[1]}), precision);
  };
}

// Trains 2-64-64-2 (or an energy 2-64-64-1) and returns the Fisher divergence from the score of the
// data smoothed by σ, measured on 8192 fresh points.
Result<double> train(vk::Device& device, const Objective& objective, double sigma, bool energy) {
  const MlpConfig config{.out_features = energy ? 1 : 2,
                         .hidden_features = 64,
                         .act_fn = energy ? "softplus" : "silu"};
  ITO_ASSIGN(const ParameterSet set, mlp_parameters(config));
  const auto score_of = [&](const Scope& parameters) -> ScoreFunction {
    if (energy)
      return energy_score([&config, parameters](Tensor x, Tensor) {
        return reshape(mlp(parameters, config, x), {x.dim(0)});
      });
    return [&config, parameters](Tensor x, Tensor) { return mlp(parameters, config, x); };
  };
  TrainStepOptions options;
  options.optimizer.learning_rate = {
      .base = 1e-2, .decay = LearningRate::Decay::kCosine, .total_steps = kSteps};
  options.optimizer.average.decay = 0.95;
  const Program step = train_step_program(
      set,
      [&](Graph& graph, const Scope& parameters, Tensor counter) {
        const Draw draw = draw_of(graph, kBatch, counter);
        return objective(gaussian_data({kBatch, 2}, draw), draw, score_of(parameters));
      },
      options);
  Program measure;
  {
    constexpr int64_t n = 8192;
    Graph& graph = *measure.graph;
    const Draw draw = draw_of(graph, n, full(graph, {}, 1000000, DType::kU32));
    const Tensor noise = random_normal({n, 2}, draw.key, draw.image, draw.step, kStreamTrainNoise);
    const Tensor x = gaussian_data({n, 2}, draw) + noise * sigma;
    const Scope average(set, input(graph, state_name::kAverage, {set.size()}));
    measure.output(
        "fisher",
        fisher_divergence(x, draw.time, score_of(average), gaussian_score(sigma * sigma)).loss);
  }
  ITO_ASSIGN(Plan step_plan, compile(step, device.caps()));
  ITO_ASSIGN(Plan measure_plan, compile(measure, device.caps()));
  ITO_ASSIGN(auto training, Executor::create(device, std::move(step_plan)));
  ITO_ASSIGN(auto measuring, Executor::create(device, std::move(measure_plan)));
  const std::vector<float> weights = initial_parameters(set, 1);
  const std::vector<uint32_t> key = {8, 9};
  ITO_TRY(training->write(state_name::kParameters, weights));
  ITO_TRY(training->write(state_name::kAverage, weights));
  ITO_TRY(training->write("key", key));
  ITO_TRY(training->run(kSteps));  // replays without the host
  ITO_ASSIGN(DeviceTensor average, training->tensor(state_name::kAverage));
  ITO_TRY(measuring->bind(state_name::kAverage, average));
  ITO_TRY(measuring->write("key", key));
  ITO_TRY(measuring->run());
  ITO_ASSIGN(const std::vector<float> fisher, measuring->read<float>("fisher"));
  return fisher[0];
}

Tensor ism(Tensor x, const Draw& d, const ScoreFunction& score) {
  return implicit_score_matching(x, d.time, score).loss;
}
Tensor ssm_with(Projection kind, bool variance_reduced, Tensor x, const Draw& d,
                const ScoreFunction& score) {
  const Tensor v = draw_projections(kind, 1, x.shape(), d.key, d.image, d.step);
  return sliced_score_matching(x, d.time, v, variance_reduced, score).loss;
}
Tensor ssm_gaussian(Tensor x, const Draw& d, const ScoreFunction& score) {
  return ssm_with(Projection::kGaussian, false, x, d, score);
}
Tensor ssm_rademacher(Tensor x, const Draw& d, const ScoreFunction& score) {
  return ssm_with(Projection::kRademacher, false, x, d, score);
}
Tensor ssm_vr(Tensor x, const Draw& d, const ScoreFunction& score) {
  return ssm_with(Projection::kRademacher, true, x, d, score);
}
Tensor fd_ssm(Tensor x, const Draw& d, const ScoreFunction& score) {
  const Tensor v = draw_projections(Projection::kRademacher, 1, x.shape(), d.key, d.image, d.step);
  const Tensor h = full(x.graph(), d.time.shape(), kFiniteDifferenceStep);
  return finite_difference_score_matching(x, d.time, v, h, score).loss;
}
Tensor dsm(Tensor x, const Draw& d, const ScoreFunction& score) {
  const Tensor noise = draw_score_noise(x.shape(), d.key, d.image, d.step);
  return denoising_score_matching(x, d.time, noise, kSigma, score).loss;
}

#define EXPECT_LEARNS(objective, sigma, energy)                                           \
  do {                                                                                    \
    ASSERT_OK_AND_ASSIGN(const double fisher, train(device(), objective, sigma, energy)); \
    EXPECT_LT(fisher, 1e-2);                                                              \
    EXPECT_GT(fisher, 0);                                                                 \
    RecordProperty("fisher", std::to_string(fisher));                                     \
  } while (false)

TEST_F(ObjectivesAgree, ImplicitScoreMatchingLearnsTheScore) { EXPECT_LEARNS(ism, 0, false); }
TEST_F(ObjectivesAgree, SlicedScoreMatchingLearnsTheScore) {
  EXPECT_LEARNS(ssm_gaussian, 0, false);
  EXPECT_LEARNS(ssm_rademacher, 0, false);
}
TEST_F(ObjectivesAgree, VarianceReducedSlicedScoreMatchingLearnsTheScore) {
  EXPECT_LEARNS(ssm_vr, 0, false);
}
TEST_F(ObjectivesAgree, FiniteDifferencesLearnTheScore) { EXPECT_LEARNS(fd_ssm, 0, false); }
TEST_F(ObjectivesAgree, DenoisingScoreMatchingLearnsTheSmoothedScore) {
  EXPECT_LEARNS(dsm, kSigma, false);
}
TEST_F(ObjectivesAgree, AnEnergyLearnsTheScoreThroughItsGradient) {
  EXPECT_LEARNS(ssm_vr, 0, true);
  EXPECT_LEARNS(dsm, kSigma, true);
}

}  // namespace
}  // namespace ito::test
