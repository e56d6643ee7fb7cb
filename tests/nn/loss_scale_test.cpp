// The loss scale: torch.amp.GradScaler's rules, and what a step does whose gradient is no number.
#include "nn/loss_scale.h"

#include <cmath>
#include <limits>

#include "graph/passes/passes.h"
#include "nn/mlp.h"
#include "program_runner.h"
#include "regression.h"

namespace ito {
namespace {

MlpConfig network() {
  return {.in_features = 2, .out_features = 1, .hidden_features = 5, .hidden_layers = 1};
}

TrainStepOptions half_options(Optimizer::Kind kind = Optimizer::Kind::kAdamW) {
  TrainStepOptions options;
  options.precision = {.multiply = DType::kF16, .scales_loss = true};
  options.optimizer.kind = kind;
  options.optimizer.momentum = kind == Optimizer::Kind::kSgd ? 0.9 : 0;
  options.optimizer.learning_rate.base = 0.05;
  options.optimizer.max_grad_norm = 0.5;
  options.loss_history = 3;
  return options;
}

HostValues first_state(const ParameterSet& set, const TrainStepOptions& options) {
  HostValues state;
  for (const StateTensor& tensor : train_state(set, options)) {
    const auto count = static_cast<size_t>(tensor.shape.numel());
    state[tensor.name] = tensor.start == StateTensor::Start::kParameters
                             ? host_value(tensor.shape, initial_parameters(set, 0))
                             : host_value(tensor.shape, std::vector<double>(count, tensor.value));
  }
  return state;
}

// As a device rounds it.
Program rounded(const Program& program) { return autocast(program, program.multiply); }

// Weights and what has as many numbers.
bool is_flat(const std::string& name) {
  return name == "params" || name == "ema" || name.starts_with("exp_avg");
}

// A batch that halves cannot hold.
HostValues large_batch() {
  HostValues batch = batch_inputs(1);
  batch["x"].data[0] = 1e5;
  return batch;
}

TEST(LossScale, FollowsGradScalersRules) {
  Program program;
  Graph& graph = *program.graph;
  LossScale scale({.scale = input(graph, "scale", {}),
                   .good_steps = input(graph, "good", {}, DType::kU32),
                   .skipped_steps = input(graph, "skipped", {}, DType::kU32)});
  scale.judge(input(graph, "norm", {}));
  scale.finish(program);
  ProgramRunner runner;
  const auto step = [&](double norm) { runner.run(program, {{"norm", host_scalar(norm)}}); };
  const auto expect = [&](double size, double good, double skipped) {
    EXPECT_EQ(runner.state.at("scale").data[0], size);
    EXPECT_EQ(runner.state.at("good").data[0], good);
    EXPECT_EQ(runner.state.at("skipped").data[0], skipped);
  };
  runner.state = {
      {"scale", host_scalar(65536)}, {"good", host_scalar(1997)}, {"skipped", host_scalar(0)}};
  step(1);
  step(1e18);
  expect(65536, 1999, 0);
  step(0);  // the 2000th in a row
  expect(131072, 0, 0);
  step(1);
  step(std::numeric_limits<double>::infinity());
  expect(65536, 0, 1);
  step(std::nan(""));
  expect(32768, 0, 2);
  step(1);
  expect(32768, 1, 2);
  // It neither becomes zero nor infinite.
  runner.state["scale"].data[0] = kLeastLossScale;
  step(std::nan(""));
  expect(kLeastLossScale, 0, 3);
  runner.state["scale"].data[0] = kMostLossScale;
  runner.state["good"].data[0] = 1999;
  step(1);
  expect(kMostLossScale, 0, 3);
}

// Powers of two and double precision: unscaled it is the same to the last bits, clipped or not.
TEST(LossScale, ChangesNothingWhereNothingOverflows) {
  const ParameterSet set = mlp_parameters(network()).value();
  for (const auto kind : {Optimizer::Kind::kAdamW, Optimizer::Kind::kSgd}) {
    TrainStepOptions scaled = half_options(kind), plain = scaled;
    scaled.precision.multiply = DType::kF32;
    plain.precision = {};
    ProgramRunner with, without;
    with.state = first_state(set, scaled);
    without.state = first_state(set, plain);
    const Program a = train_step_program(set, regression(network()), scaled);
    const Program b = train_step_program(set, regression(network()), plain);
    for (uint32_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(with.run(a, batch_inputs(k)).at("grad_norm").data[0],
                  without.run(b, batch_inputs(k)).at("grad_norm").data[0], 1e-12);
      for (const auto& [name, value] : without.state)
        for (size_t i = 0; i < value.data.size(); ++i)
          EXPECT_NEAR(with.state.at(name).data[i], value.data[i], 1e-12) << name;
    }
    EXPECT_EQ(with.state.at("good_steps").data[0], 3);
  }
}

// What is left out leaves nothing behind but the scale and the counters: the step after it is the
// first for Adam's bias correction and the average's warm-up.
TEST(LossScale, AStepThatOverflowsIsLeftOut) {
  const ParameterSet set = mlp_parameters(network()).value();
  for (const auto kind : {Optimizer::Kind::kAdamW, Optimizer::Kind::kSgd}) {
    const TrainStepOptions options = half_options(kind);
    const Program program = rounded(train_step_program(set, regression(network()), options));
    ProgramRunner runner, good_alone;
    runner.state = good_alone.state = first_state(set, options);
    const HostValues first = runner.state;
    const HostValues outputs = runner.run(program, large_batch());
    EXPECT_FALSE(std::isfinite(outputs.at("grad_norm").data[0]));
    for (const auto& [name, value] : first)
      if (is_flat(name)) {
        EXPECT_EQ(runner.state.at(name).data, value.data) << name;
      }
    EXPECT_EQ(runner.state.at("loss_scale").data[0], 32768);
    EXPECT_EQ(runner.state.at("skipped_steps").data[0], 1);
    EXPECT_EQ(runner.state.at("counter").data[0], 1);

    runner.run(program, batch_inputs(2));
    good_alone.state["loss_scale"].data[0] = 32768;
    good_alone.run(program, batch_inputs(2));
    EXPECT_NE(runner.state.at("params").data, first.at("params").data);
    for (const auto& [name, value] : good_alone.state)
      if (is_flat(name)) {
        EXPECT_EQ(runner.state.at(name).data, value.data) << name;
      }
    EXPECT_EQ(runner.state.at("good_steps").data[0], 1);
    EXPECT_EQ(runner.state.at("skipped_steps").data[0], 1);
  }
}

// The loss is a number, its gradient times the scale is not a half's.
TEST(LossScale, ComesDownFromWhereGradientsOverflow) {
  const ParameterSet set = mlp_parameters(network()).value();
  const TrainStepOptions options = half_options();
  const Program program = rounded(train_step_program(set, regression(network()), options));
  ProgramRunner runner;
  runner.state = first_state(set, options);
  runner.state["loss_scale"].data[0] = std::ldexp(1, 22);
  const HostValue weights = runner.state.at("params");
  int left_out = 0;
  for (; left_out < 20; ++left_out) {
    const HostValues outputs = runner.run(program, batch_inputs(1));
    EXPECT_TRUE(std::isfinite(outputs.at("loss").data[0]));
    if (runner.state.at("skipped_steps").data[0] == left_out) break;
    EXPECT_EQ(runner.state.at("params").data, weights.data);
  }
  EXPECT_GT(left_out, 0);
  EXPECT_LT(left_out, 20);
  EXPECT_EQ(runner.state.at("loss_scale").data[0], std::ldexp(1, 22 - left_out));
  EXPECT_NE(runner.state.at("params").data, weights.data);
}

// One batch of several that overflows spoils their update, and the sums begin again.
TEST(LossScale, AccumulatedGradientsAreLeftOutTogether) {
  const ParameterSet set = mlp_parameters(network()).value();
  TrainStepOptions options = half_options();
  options.accumulation = 2;
  const LossFunction counting = [](Graph& graph, const Scope& parameters, Tensor counter) {
    const Tensor sum = input(graph, "sum", Shape{});
    LossResult result = regression(network())(graph, parameters, counter);
    result.updates = {{sum, sum + result.loss}};
    return result;
  };
  options.loss_state = {{.name = "sum", .shape = {}}};
  const Program accumulate = rounded(accumulate_program(set, counting, options));
  const Program apply = apply_program(set, options);
  ProgramRunner runner;
  runner.state = first_state(set, options);
  const HostValue weights = runner.state.at("params");
  runner.run(accumulate, batch_inputs(1));
  const double sum = runner.state.at("sum").data[0];
  EXPECT_GT(sum, 0);
  runner.run(accumulate, large_batch());
  EXPECT_EQ(runner.state.at("sum").data[0], sum) << "a loss that is no number is not kept";
  runner.run(apply);
  EXPECT_EQ(runner.state.at("params").data, weights.data);
  EXPECT_EQ(runner.state.at("loss_scale").data[0], 32768);
  EXPECT_EQ(runner.state.at("batch_counter").data[0], 2);
  for (const double value : runner.state.at("grad_accum").data) EXPECT_EQ(value, 0);
  for (uint32_t k = 0; k < 2; ++k) runner.run(accumulate, batch_inputs(k));
  runner.run(apply);
  EXPECT_NE(runner.state.at("params").data, weights.data);
  EXPECT_EQ(runner.state.at("skipped_steps").data[0], 1);
}

}  // namespace
}  // namespace ito
