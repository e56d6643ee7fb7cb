// Objectives of an energy network, whose score is ∇_x f: the gradient with respect to its weights
// goes through that inner gradient. Against finite differences of the loss on the interpreter, and
// on the device against the interpreter. Sliced and plain denoising score matching are compared
// with PyTorch by the golden data.
#include <cmath>
#include <functional>
#include <random>

#include "diffusion/score_matching.h"
#include "nn/mlp.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int64_t kImages = 6;

struct Batch {
  Tensor x0, t, noise, sigma;
};

struct Objective {
  std::string name;
  std::function<Tensor(const Batch&, const ScoreFunction&)> loss;
};

std::vector<Objective> objectives() {
  std::vector<Objective> all = {
      {"implicit",
       [](const Batch& b, const ScoreFunction& score) {
         return implicit_score_matching(b.x0, b.t, score).loss;
       }},
      {"ladder",
       [](const Batch& b, const ScoreFunction& score) {
         return ladder_score_matching(b.x0, b.t, b.noise, b.sigma, score).loss;
       }},
  };
  for (const Sde::Kind kind : {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp})
    for (const auto& [name, options] :
         {std::pair{"std2", ContinuousLoss{}},
          {"likelihood", {.weighting = ScoreWeighting::kLikelihood}},
          {"likelihood, importance",
           {.weighting = ScoreWeighting::kLikelihood, .sampling = TimeSampling::kImportance}}})
      all.push_back({"continuous " + sde_name(kind) + ", " + name,
                     [sde = Sde{.kind = kind, .sigma_max = 3}, options = options](
                         const Batch& b, const ScoreFunction& score) {
                       return continuous_dsm_loss(b.x0, b.t, b.noise, sde, score, options).loss;
                     }});
  return all;
}

const MlpConfig kConfig{.out_features = 1,
                        .hidden_features = 8,
                        .act_fn = "softplus",
                        .time_features = 4,
                        .time_scale = 10};

// Outputs "loss" and "gradient" of the flat parameters.
Program objective_program(const ParameterSet& set, const Objective& objective) {
  Program program;
  program.name = objective.name;
  Graph& graph = *program.graph;
  const Tensor flat = input(graph, "parameters", {set.size()});
  const Scope scope(set, flat);
  const ScoreFunction score = energy_score(
      [&](Tensor x, Tensor t) { return reshape(mlp(scope, kConfig, x, t), {x.dim(0)}); });
  const Tensor loss = objective.loss({.x0 = input(graph, "x0", {kImages, 2}),
                                      .t = input(graph, "t", {kImages}),
                                      .noise = input(graph, "noise", {kImages, 2}),
                                      .sigma = input(graph, "sigma", {kImages})},
                                     score);
  program.output("loss", loss);
  program.output("gradient", flat_gradient(set, flat, loss));
  return program;
}

HostValues inputs_for(const ParameterSet& set) {
  const auto wave = [](int64_t n, double frequency, double low, double high) {
    HostValue value{{n}, {}};
    for (int64_t i = 0; i < n; ++i)
      value.data.push_back(static_cast<float>(
          low + (high - low) * (0.5 + 0.5 * std::sin(frequency * static_cast<double>(i + 1)))));
    return value;
  };
  HostValues inputs{{"x0", wave(2 * kImages, 2.3, -1.5, 1.5)},
                    {"noise", wave(2 * kImages, 1.1, -2, 2)},
                    {"t", wave(kImages, 0.7, 0.1, 0.9)},
                    {"sigma", wave(kImages, 1.9, 0.3, 2)}};
  inputs["x0"].shape = inputs["noise"].shape = {kImages, 2};
  HostValue& parameters = inputs["parameters"] = {{set.size()}, {}};
  for (const float weight : initial_parameters(set, 2)) parameters.data.push_back(2 * weight);
  return inputs;
}

// Central differences along random directions: with steps of 1e-5 their truncation is about 1e-10
// and their rounding 1e-11.
void expect_gradient_of_loss(const Program& program, const HostValues& inputs) {
  const auto at = [&](const HostValues& point) {
    return run_on_interpreter(program, point).value();
  };
  const std::vector<double> gradient = at(inputs).at("gradient").data;
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  constexpr double h = 1e-5;
  for (int k = 0; k < 4; ++k) {
    HostValues plus = inputs, minus = inputs;
    double analytic = 0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      const double direction = normal(random);
      plus["parameters"].data[i] += h * direction;
      minus["parameters"].data[i] -= h * direction;
      analytic += gradient[i] * direction;
    }
    const double numeric = (at(plus).at("loss").data[0] - at(minus).at("loss").data[0]) / (2 * h);
    EXPECT_NEAR(analytic, numeric, 1e-6 * (1 + std::fabs(numeric)));
    EXPECT_GT(std::fabs(numeric), 1e-3);
  }
}

class EnergyObjectives : public VulkanTest {};

TEST_F(EnergyObjectives, GradientsGoThroughTheInnerGradient) {
  const ParameterSet set = mlp_parameters(kConfig).value();
  const HostValues inputs = inputs_for(set);
  for (const Objective& objective : objectives()) {
    SCOPED_TRACE(objective.name);
    const Program program = objective_program(set, objective);
    expect_gradient_of_loss(program, inputs);
    ASSERT_OK_AND_ASSIGN(const HostValues expected, run_on_interpreter(program, inputs));
    ASSERT_OK_AND_ASSIGN(const HostValues found, run_on_device(device(), program, inputs));
    // float32 with sums over a few dozen numbers.
    for (const char* name : {"loss", "gradient"})
      EXPECT_LT(relative_error(found.at(name).data, expected.at(name).data), 1e-5) << name;
  }
}

}  // namespace
}  // namespace ito::test
