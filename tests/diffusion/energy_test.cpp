#include "diffusion/energy.h"

#include <cmath>

#include "diffusion/loss.h"
#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

const Values kMatrix = {0.6, -0.3, 0.2, 0.9};

// tanh(x W) + t, whose Jacobian is not symmetric.
Denoiser network(Tensor weight) {
  return [weight](Tensor x, Tensor t) { return tanh(matmul(x, weight)) + per_image(t, 2); };
}

TEST(EnergyNetwork, OutputIsMinusTheGradientOfItsScalar) {
  for (const EnergyRow& row : energy_rows()) {
    constexpr double kStep = 1e-5;
    const Values at = {0.4, -1.1};
    const auto energy = [&](Values x) {
      Graph graph;
      return test::evaluate_one(network_energy(row.form, network(constant(graph, {2, 2}, kMatrix)))(
          constant(graph, {1, 2}, std::move(x)), full(graph, {1}, 0.3)))[0];
    };
    Graph graph;
    const auto output =
        test::evaluate_one(energy_denoiser(row.form, network(constant(graph, {2, 2}, kMatrix)))(
            constant(graph, {1, 2}, at), full(graph, {1}, 0.3)));
    for (size_t i = 0; i < 2; ++i) {
      Values above = at, below = at;
      above[i] += kStep, below[i] -= kStep;
      EXPECT_NEAR(output[i], -(energy(above) - energy(below)) / (2 * kStep), 1e-8) << row.name.name;
    }
  }
}

// Of h(x) = x (1 - κ) the form -½|x - h|² is -κ²x²/2, the log density of a Gaussian.
TEST(EnergyNetwork, ShrinkingAutoencoderIsAGaussian) {
  Graph graph;
  const Denoiser shrink = [](Tensor x, Tensor) { return x * 0.25; };
  const auto values = test::evaluate_one(energy_denoiser(EnergyForm::kNorm, shrink)(
      constant(graph, {1, 2}, {2, -1}), full(graph, {1}, 0)));
  EXPECT_NEAR(values[0], 2 * 0.75 * 0.75, 1e-12);
  EXPECT_NEAR(values[1], -0.75 * 0.75, 1e-12);
}

TEST(EnergyNetwork, TrainingGradientsAreThoseOfTheLoss) {
  SchedulerConfig config;
  config.num_train_timesteps = 5;
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  const auto loss_of = [&](Graph& graph, EnergyForm form, Tensor weight) {
    const TrainingDraw draw{.timestep = constant(graph, {3}, {0, 2, 4}, DType::kU32),
                            .noise = constant(graph, {3, 2}, {0.3, -1, 0.8, 0.1, -0.4, 1.2})};
    return denoising_loss(constant(graph, {3, 2}, {0.5, 0.2, -0.7, 0.9, 0.1, -0.3}), draw, schedule,
                          energy_denoiser(form, network(weight)))
        .loss;
  };
  for (const EnergyRow& row : energy_rows()) {
    Graph graph;
    const Tensor weight = constant(graph, {2, 2}, kMatrix);
    const auto gradient = test::evaluate_one(grad(loss_of(graph, row.form, weight), {weight})[0]);
    for (size_t i = 0; i < 4; ++i) {
      constexpr double kStep = 1e-5;
      Values above = kMatrix, below = kMatrix;
      above[i] += kStep, below[i] -= kStep;
      const auto values = evaluate({loss_of(graph, row.form, constant(graph, {2, 2}, above)),
                                    loss_of(graph, row.form, constant(graph, {2, 2}, below))});
      EXPECT_NEAR(gradient[i], (values[0].data[0] - values[1].data[0]) / (2 * kStep), 1e-7)
          << row.name.name;
    }
  }
}

}  // namespace
}  // namespace ito
