// Networks and training steps as compiled for a device, against the interpreter.
#include <gtest/gtest.h>

#include <algorithm>

#include "nn/train_step.h"
#include "nn/unet2d.h"
#include "published_blocks.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"
#include "torch_random.h"

namespace ito {
namespace {

using test::HostValues;
using test::relative_error;

class NnOnDevice : public test::VulkanTest {};
class PortableNn : public test::VulkanTest {};  // on other implementations of Vulkan, too

UNet2DConfig tiny() {
  UNet2DConfig config;
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {8, 16};
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "UpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.num_class_embeds = 3;
  return config;
}

const Shape kImages{2, 6, 5, 1};  // odd: the upsampling meets a skip connection of 5 columns

Tensor loss_of(Graph& graph, const Scope& parameters, const UNet2DConfig& config = tiny()) {
  const Tensor x = input(graph, "x", kImages);
  const Tensor t = input(graph, "t", Shape{2});
  const Tensor labels = input(graph, "labels", Shape{2}, DType::kU32);
  const Tensor target = input(graph, "target", kImages);
  return mean_all(square(unet2d(parameters, config, x, t, labels) - target));
}

HostValues batch() {
  TorchRandom random(3);
  const auto image = [&] {
    const std::vector<float> values = random.normal(static_cast<size_t>(kImages.numel()));
    return HostValue{kImages, {values.begin(), values.end()}};
  };
  return {{"x", image()},
          {"target", image()},
          {"t", {Shape{2}, {3, 700}}},
          {"labels", {Shape{2}, {2, 0}}}};
}

HostValue parameters(const ParameterSet& set) {
  const std::vector<float> values = initial_parameters(set, 0);
  return {Shape{set.size()}, {values.begin(), values.end()}};
}

TEST_F(NnOnDevice, LossAndGradientsOfAUNetMatchTheInterpreter) {
  const ParameterSet set = unet2d_parameters(tiny()).value();
  Program program;
  const Tensor flat = input(*program.graph, "params", Shape{set.size()});
  const Tensor loss = loss_of(*program.graph, Scope(set, flat));
  program.output("loss", loss);
  program.output("gradient", flat_gradient(set, flat, loss));
  program.output("d_x", grad(loss, {input(*program.graph, "x", kImages)})[0]);
  HostValues inputs = batch();
  inputs["params"] = parameters(set);
  ASSERT_OK_AND_ASSIGN(const HostValues expected, test::run_on_interpreter(program, inputs));
  ASSERT_OK_AND_ASSIGN(const HostValues found, test::run_on_device(device(), program, inputs));
  // fp32 against double over some forty layers.
  for (const char* name : {"loss", "gradient", "d_x"}) {
    EXPECT_LT(relative_error(found.at(name).data, expected.at(name).data), 2e-5) << name;
  }
}

// The same numbers are left out, in both directions.
TEST_F(NnOnDevice, DropoutMatchesTheInterpreter) {
  UNet2DConfig config = tiny();
  config.dropout = 0.3;
  const ParameterSet set = unet2d_parameters(config).value();
  Program program;
  Graph& graph = *program.graph;
  const Tensor flat = input(graph, "params", Shape{set.size()});
  const Scope scope = Scope(set, flat).drawing({.key = input(graph, "key", {2}, DType::kU32),
                                                .image = iota(graph, {2}, 0),
                                                .step = input(graph, "step", {}, DType::kU32)});
  const Tensor loss = loss_of(graph, scope, config);
  program.output("loss", loss);
  program.output("gradient", flat_gradient(set, flat, loss));
  HostValues inputs = batch();
  inputs["params"] = parameters(set);
  inputs["key"] = {{2}, {7, 0}};
  std::vector<double> losses;
  for (const double step : {0, 1}) {
    inputs["step"] = {{}, {step}};
    ASSERT_OK_AND_ASSIGN(const HostValues expected, test::run_on_interpreter(program, inputs));
    ASSERT_OK_AND_ASSIGN(const HostValues found, test::run_on_device(device(), program, inputs));
    // fp32 against double, as without; one number left out more or less would be far more.
    for (const char* name : {"loss", "gradient"})
      EXPECT_LT(relative_error(found.at(name).data, expected.at(name).data), 2e-5) << name;
    losses.push_back(expected.at("loss").data[0]);
  }
  EXPECT_NE(losses[0], losses[1]);
}

TEST_F(PortableNn, ForwardOfAUNetMatchesTheInterpreter) {
  const ParameterSet set = unet2d_parameters(tiny()).value();
  Program program;
  program.output("loss", loss_of(*program.graph,
                                 Scope(set, input(*program.graph, "params", Shape{set.size()}))));
  HostValues inputs = batch();
  inputs["params"] = parameters(set);
  ASSERT_OK_AND_ASSIGN(const HostValues expected, test::run_on_interpreter(program, inputs));
  ASSERT_OK_AND_ASSIGN(const HostValues found, test::run_on_device(device(), program, inputs));
  EXPECT_LT(relative_error(found.at("loss").data, expected.at("loss").data), 2e-5);
}

// Replays of one recorded step, the state staying on the device.
void expect_training_matches(vk::Device& device, const Optimizer& optimizer, double tolerance,
                             int steps = 3) {
  const ParameterSet set = unet2d_parameters(tiny()).value();
  TrainStepOptions options;
  options.optimizer = optimizer;
  options.loss_history = 4;
  const Program program = train_step_program(
      set, [](Graph& graph, const Scope& scope, Tensor) { return loss_of(graph, scope); }, options);
  HostValues inputs = batch();
  for (const StateTensor& tensor : train_state(set, options)) {
    const bool starts_at_parameters = tensor.start == StateTensor::Start::kParameters;
    inputs[tensor.name] =
        starts_at_parameters
            ? parameters(set)
            : HostValue{tensor.shape,
                        std::vector<double>(static_cast<size_t>(tensor.shape.numel()))};
  }
  ASSERT_OK_AND_ASSIGN(
      const HostValues found,
      test::run_on_device(device, program, inputs, {}, nullptr, static_cast<uint32_t>(steps)));
  HostValues expected;
  for (int k = 0; k < steps; ++k) {
    ASSERT_OK_AND_ASSIGN(expected, test::run_on_interpreter(program, inputs));
    for (auto& [name, value] : expected) {
      if (inputs.contains(name)) inputs[name] = value;
    }
  }
  EXPECT_EQ(found.at("counter").data, std::vector<double>{static_cast<double>(steps)});
  EXPECT_LT(relative_error(found.at("loss_history").data, expected.at("loss_history").data), 1e-5);
  EXPECT_LT(relative_error(found.at("grad_norm").data, expected.at("grad_norm").data), 1e-4);
  for (const Parameter& parameter : set.parameters()) {
    // Its gradient is zero (softmax shift invariance), so Adam amplifies rounding.
    if (parameter.name.ends_with("to_k.bias")) continue;
    for (const char* name : {"params", "ema"}) {
      for (int64_t i = 0; i < parameter.numel(); ++i) {
        const size_t at = static_cast<size_t>(parameter.offset + i);
        ASSERT_NEAR(found.at(name).data[at], expected.at(name).data[at], tolerance)
            << name << " " << parameter.name << " element " << i;
      }
    }
  }
}

TEST_F(NnOnDevice, SgdTrainingMatchesTheInterpreter) {
  Optimizer optimizer;
  optimizer.kind = Optimizer::Kind::kSgd;
  optimizer.learning_rate.base = 0.05;
  optimizer.momentum = 0.9;
  optimizer.max_grad_norm = 0.5;
  expect_training_matches(device(), optimizer, 1e-5);
}

TEST_F(PortableNn, OneTrainingStepMatchesTheInterpreter) {
  Optimizer optimizer;
  optimizer.kind = Optimizer::Kind::kSgd;
  optimizer.learning_rate.base = 0.05;
  expect_training_matches(device(), optimizer, 1e-5, 1);
}

TEST_F(NnOnDevice, AdamWTrainingMatchesTheInterpreter) {
  Optimizer optimizer;
  optimizer.learning_rate = {.base = 1e-3, .warmup_steps = 2};
  optimizer.weight_decay = 0.01;
  optimizer.max_grad_norm = 1;
  // Where a gradient is near eps, its rounding error moves the step by a good part of the rate.
  expect_training_matches(device(), optimizer, 2e-4);
}

// The block of diffusers' tests that is too much for the interpreter: four images of 32x32 that
// attend to themselves in 32 heads.
TEST_F(NnOnDevice, AttentionDownBlockMatchesDiffusers) {
  const BlockRun run =
      block_run({.n = 4, .c = 32, .h = 32, .w = 32, .embedding = true}, down("AttnDownBlock2D"));
  ASSERT_OK_AND_ASSIGN(
      const HostValues found,
      test::run_on_device(device(), run.program, HostValues(run.inputs.begin(), run.inputs.end())));
  expect_slice(found.at("y"), {.0636, .8964, -.6234});
}

}  // namespace
}  // namespace ito
