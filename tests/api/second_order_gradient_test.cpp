// What training minimises where it takes gradients of gradients of a U-Net, by differences: the
// gradient of implicit and sliced score matching and of losses of an energy, against what their
// losses themselves do when the weights move. On the interpreter, in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "api/task.h"
#include "graph/interpret.h"
#include "nn/parameters.h"

namespace ito::test {
namespace {

constexpr int kSide = 4;

struct Case {
  const char* name;
  TrainingOptions options;
};

std::vector<Case> cases() {
  const auto of = [](const char* objective, const char* sde, const char* energy) {
    TrainingOptions options;
    options.objective = objective;
    options.sde = sde;
    options.energy = energy;
    options.channels = {4};
    options.norm_groups = 2;
    options.size = std::to_string(kSide);
    options.classes = false;
    options.batch = 2;
    options.sigma_max = 4;
    options.projections = 2;
    if (std::string_view(objective).starts_with("ssm")) return options;
    options.projections = 1;
    return options;
  };
  return {
      {"ism", of("ism", "vp", "none")},           {"ssm", of("ssm", "ve", "none")},
      {"ssm-vr", of("ssm-vr", "vp", "none")},     {"energy norm", of("simple", "none", "norm")},
      {"energy inner", of("dsm", "ve", "inner")}, {"energy head", of("simple", "none", "head")}};
}

TEST(SecondOrderGradients, AreWhatTheLossDoes) {
  ImageDataset data;
  data.h = data.w = kSide;
  data.c = 1;
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const auto task = make_task(c.options, data);
    ASSERT_TRUE(task.ok()) << task.error().message;
    const ParameterSet& set = task->network.set();
    Graph graph;
    const FlatTensors flat = flat_inputs(graph, state_name::kParameters, set);
    ASSERT_EQ(flat.size(), 1u);
    const Tensor loss = task->loss(graph, Scope(set, flat), scalar(graph, 3, DType::kU32)).loss;
    const Tensor gradient = flat_gradient(set, flat, loss)[0];

    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    std::unordered_map<std::string, HostValue> inputs;
    inputs[batch_ports::kKey.name] = {{2}, {3, 5}};
    HostValue& images = inputs[batch_ports::kImages.name] = {task->batch_shape, {}};
    for (int64_t i = 0; i < task->batch_shape.numel(); ++i)
      images.data.push_back(0.5 * normal(random));
    HostValue& weights = inputs[state_name::kParameters] = {{set.size()}, {}};
    for (const float weight : initial_parameters(set, 2)) weights.data.push_back(weight);

    const auto found = interpret({loss, gradient}, inputs);
    ASSERT_TRUE(found.ok()) << found.error().message;
    std::vector<double> direction;
    double slope = 0;
    for (const double g : (*found)[1].data) {
      direction.push_back(normal(random));
      slope += g * direction.back();
    }
    // Central differences: their truncation, found by other steps, is some 1e-6 of the slope here
    // and falls with h²; rounding is 1e-16 / h.
    constexpr double h = 1e-5;
    const auto at = [&](double step) {
      auto moved = inputs;
      std::vector<double>& values = moved[state_name::kParameters].data;
      for (size_t i = 0; i < values.size(); ++i) values[i] += step * direction[i];
      return interpret({loss}, moved).value()[0].data[0];
    };
    const double numeric = (at(h) - at(-h)) / (2 * h);
    EXPECT_NEAR(slope, numeric, 1e-5 * std::fabs(numeric));
    EXPECT_GT(std::fabs(numeric), 1e-3);
  }
}

}  // namespace
}  // namespace ito::test
