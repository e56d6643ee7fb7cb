// Training programs as wholes: what they do to their state over several steps.
#include "nn/train_step.h"

#include <gtest/gtest.h>

#include "finite_difference.h"
#include "nn/mlp.h"
#include "nn/network.h"
#include "program_runner.h"
#include "regression.h"

namespace ito {
namespace {

MlpConfig network() {
  return {.in_features = 2, .out_features = 1, .hidden_features = 5, .hidden_layers = 1};
}

HostValues initial_state(const ParameterSet& set, const TrainStepOptions& options) {
  HostValues state;
  for (const StateTensor& tensor : train_state(set, options)) {
    state[tensor.name] =
        tensor.start == StateTensor::Start::kParameters
            ? host_value(tensor.shape, initial_parameters(set, 0))
            : host_value(
                  tensor.shape,
                  std::vector<double>(static_cast<size_t>(tensor.shape.numel()), tensor.value));
  }
  return state;
}

TrainStepOptions options_for(Optimizer::Kind kind) {
  TrainStepOptions options;
  options.optimizer.kind = kind;
  options.optimizer.learning_rate = {.base = 0.05, .warmup_steps = 4};
  options.optimizer.average = {.kind = Average::Kind::kConstant, .decay = 0.75};
  options.loss_history = 3;
  return options;
}

TEST(TrainStep, LowersTheLossAndFillsTheRing) {
  const ParameterSet set = mlp_parameters(network()).value();
  const TrainStepOptions options = options_for(Optimizer::Kind::kAdamW);
  const Program program = train_step_program(set, regression(network()), options);
  ProgramRunner runner;
  runner.state = initial_state(set, options);
  const HostValues batch = batch_inputs(1);
  std::vector<double> losses;
  for (int k = 0; k < 30; ++k) {
    const HostValues outputs = runner.run(program, batch);
    losses.push_back(outputs.at("loss").data[0]);
    EXPECT_NEAR(outputs.at("lr").data[0], k < 4 ? 0.0125 * (k + 1) : 0.05, 1e-12);
    EXPECT_GT(outputs.at("grad_norm").data[0], 0);
    EXPECT_EQ(runner.state["counter"].data[0], k + 1);
    EXPECT_EQ(runner.state["loss_history"].data[static_cast<size_t>(k % 3)], losses.back());
    if (k > 0) {
      EXPECT_EQ(runner.state["loss_history"].data[static_cast<size_t>((k - 1) % 3)],
                losses[static_cast<size_t>(k - 1)]);
    }
  }
  EXPECT_LT(losses.back(), 0.2 * losses.front());
}

TEST(TrainStep, AverageFollowsTheNewParameters) {
  const ParameterSet set = mlp_parameters(network()).value();
  const TrainStepOptions options = options_for(Optimizer::Kind::kAdam);
  const Program program = train_step_program(set, regression(network()), options);
  ProgramRunner runner;
  runner.state = initial_state(set, options);
  std::vector<double> expected = runner.state["ema"].data;
  for (int k = 0; k < 3; ++k) {
    runner.run(program, batch_inputs(static_cast<uint32_t>(k)));
    for (size_t i = 0; i < expected.size(); ++i) {
      expected[i] = 0.75 * expected[i] + 0.25 * runner.state["params"].data[i];
      EXPECT_NEAR(runner.state["ema"].data[i], expected[i], 1e-14);
    }
  }
}

// Each is what it would be alone.
TEST(TrainStep, SeveralAveragesDoNotTouchEachOther) {
  const ParameterSet set = mlp_parameters(network()).value();
  const auto average_after_three = [&](double decay, std::vector<double> further,
                                       const std::string& name) {
    TrainStepOptions options = options_for(Optimizer::Kind::kAdam);
    options.optimizer.average.decay = decay;
    options.optimizer.further_decays = std::move(further);
    const Program program = train_step_program(set, regression(network()), options);
    ProgramRunner runner;
    runner.state = initial_state(set, options);
    for (uint32_t k = 0; k < 3; ++k) runner.run(program, batch_inputs(k));
    return runner.state.at(name).data;
  };
  const std::vector<double> lengths = {0.5, 0.9375};
  EXPECT_EQ(average_after_three(0.75, lengths, "ema"), average_after_three(0.75, {}, "ema"));
  for (const double decay : lengths)
    EXPECT_EQ(average_after_three(0.75, lengths, fmt::format("ema_{}", decay)),
              average_after_three(decay, {}, "ema"));
}

// Weight decay, moments and averages pass by what is frozen; what is not moves as it did.
TEST(TrainStep, FrozenParametersAndTheirAveragesStayToTheLastBit) {
  const Network whole = mlp_network(network()).value();
  const auto is_frozen = [](std::string_view name) { return name.ends_with("bias"); };
  const Network part = whole.with_frozen(is_frozen);
  const ParameterSet& set = part.set();
  for (Optimizer::Kind kind :
       {Optimizer::Kind::kAdamW, Optimizer::Kind::kAdam, Optimizer::Kind::kSgd}) {
    TrainStepOptions options = options_for(kind);
    options.optimizer.weight_decay = 0.1;
    options.optimizer.average.decay = 0.7;  // d x + (1 - d) x is not always x
    options.optimizer.further_decays = {0.3};
    const Program program = train_step_program(set, regression(network()), options);
    ProgramRunner runner;
    runner.state = initial_state(set, options);
    // Biases begin random too; none may move.
    const HostValues before = runner.state;
    for (uint32_t k = 0; k < 4; ++k) runner.run(program, batch_inputs(k));
    size_t frozen = 0;
    for (const Parameter& p : set.parameters()) {
      for (const char* name : {"params", "ema", "ema_0.3"}) {
        const auto values = [&](const HostValues& state) {
          const auto begin = state.at(name).data.begin() + p.offset;
          return std::vector<double>(begin, begin + p.numel());
        };
        EXPECT_EQ(values(runner.state) == values(before), is_frozen(p.name)) << name << p.name;
      }
      frozen += is_frozen(p.name) ? 1u : 0u;
    }
    EXPECT_EQ(frozen, 2u);
  }
}

TEST(TrainStep, GapsBetweenParametersStayZero) {
  const ParameterSet set = mlp_parameters(network()).value();
  TrainStepOptions options = options_for(Optimizer::Kind::kAdamW);
  options.optimizer.weight_decay = 0.1;
  const Program program = train_step_program(set, regression(network()), options);
  ProgramRunner runner;
  runner.state = initial_state(set, options);
  for (int k = 0; k < 3; ++k) runner.run(program, batch_inputs(2));
  std::vector<bool> used(static_cast<size_t>(set.size()));
  for (const Parameter& p : set.parameters()) {
    std::fill_n(used.begin() + p.offset, p.numel(), true);
  }
  for (const char* name : {"params", "exp_avg", "exp_avg_sq", "ema"}) {
    for (size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) {
        EXPECT_EQ(runner.state[name].data[i], 0) << name << " at " << i;
      }
    }
  }
}

TEST(TrainStep, StateFollowsTheOptimizer) {
  const ParameterSet set = mlp_parameters(network()).value();
  const auto names = [&](const TrainStepOptions& options) {
    std::string all;
    for (const StateTensor& tensor : train_state(set, options)) all += tensor.name + " ";
    return all;
  };
  TrainStepOptions options = options_for(Optimizer::Kind::kSgd);
  options.optimizer.average.kind = Average::Kind::kNone;
  EXPECT_EQ(names(options), "params counter loss_history ");
  options.optimizer.momentum = 0.9;
  EXPECT_EQ(names(options), "params exp_avg counter loss_history ");
  options = options_for(Optimizer::Kind::kAdamW);
  options.accumulation = 2;
  EXPECT_EQ(names(options),
            "params exp_avg exp_avg_sq ema counter loss_history grad_accum loss_accum "
            "batch_counter ");
}

TEST(TrainStep, EveryStateTensorIsUpdated) {
  const ParameterSet set = mlp_parameters(network()).value();
  for (Optimizer::Kind kind :
       {Optimizer::Kind::kAdamW, Optimizer::Kind::kAdam, Optimizer::Kind::kSgd}) {
    const TrainStepOptions options = options_for(kind);
    const Program program = train_step_program(set, regression(network()), options);
    size_t donated = 0;
    for (const ProgramOutput& output : program.outputs) donated += output.donated;
    EXPECT_EQ(donated, train_state(set, options).size());
  }
}

TEST(Accumulation, TwoHalvesMakeTheWholeBatch) {
  const ParameterSet set = mlp_parameters(network()).value();
  TrainStepOptions options = options_for(Optimizer::Kind::kAdamW);
  options.optimizer.max_grad_norm = 0.3;  // clips the mean gradient, not its parts
  ProgramRunner whole;
  whole.state = initial_state(set, options);
  const Program step = train_step_program(set, regression(network()), options);
  options.accumulation = 2;
  ProgramRunner halves;
  halves.state = initial_state(set, options);
  const Program accumulate = accumulate_program(set, regression(network(), kBatch / 2), options);
  const Program apply = apply_program(set, options);
  for (uint32_t k = 0; k < 3; ++k) {
    const HostValues batch = batch_inputs(k);
    const HostValues expected = whole.run(step, batch);
    for (int half = 0; half < 2; ++half) {
      const auto part = [&](const char* name, int64_t width) {
        const auto begin = batch.at(name).data.begin() + half * width * kBatch / 2;
        return host_value(Shape{kBatch / 2, width},
                          std::vector<double>(begin, begin + width * kBatch / 2));
      };
      halves.run(accumulate, {{"x", part("x", 2)}, {"y", part("y", 1)}});
    }
    EXPECT_EQ(halves.state["batch_counter"].data[0], 2 * (k + 1));
    const HostValues outputs = halves.run(apply);
    for (const char* name : {"loss", "grad_norm", "lr"}) {
      EXPECT_NEAR(outputs.at(name).data[0], expected.at(name).data[0], 1e-12) << name;
    }
    for (const char* name : {"params", "exp_avg", "exp_avg_sq", "ema", "loss_history"}) {
      for (size_t i = 0; i < whole.state[name].data.size(); ++i) {
        EXPECT_NEAR(halves.state[name].data[i], whole.state[name].data[i], 1e-10) << name;
      }
    }
    for (double value : halves.state["grad_accum"].data) EXPECT_EQ(value, 0);
    EXPECT_EQ(halves.state["loss_accum"].data[0], 0);
  }
}

// However many parts there are, and however many processes share them.
TEST(Microbatches, MakeTheStepOfTheWholeBatch) {
  const ParameterSet set = mlp_parameters(network()).value();
  for (const int64_t parts : {1, 2, 4}) {
    TrainStepOptions options = options_for(Optimizer::Kind::kAdamW);
    options.optimizer.max_grad_norm = 0.3;  // clips the mean gradient, not its parts
    ProgramRunner whole;
    whole.state = initial_state(set, options);
    const Program step = train_step_program(set, regression(network()), options);
    options.microbatches = options.own_microbatches = parts;
    ProgramRunner cut;
    cut.state = initial_state(set, options);
    const int64_t n = kBatch / parts;
    const Program microbatch = microbatch_program(set, regression(network(), n), options);
    const Program update = update_program(set, options);
    const SumTree tree{parts};
    for (uint32_t k = 0; k < 3; ++k) {
      const HostValues batch = batch_inputs(k);
      const HostValues expected = whole.run(step, batch);
      for (int64_t m = 0; m < parts; ++m) {
        const auto part = [&](const char* name, int64_t width) {
          const auto begin = batch.at(name).data.begin() + m * width * n;
          return host_value(Shape{n, width}, std::vector<double>(begin, begin + width * n));
        };
        HostValues inputs = {{"x", part("x", 2)}, {"y", part("y", 1)}};
        const double first = m % tree.block() == 0 ? 1 : 0;
        if (tree.block() > 1)
          inputs[kFirstOfBlock.name] = host_value(Shape{}, std::vector<double>{first});
        cut.run(microbatch, inputs);
        if ((m + 1) % tree.block() == 0 && tree.levels() > 0)
          cut.run(merge_program(set, options, SumTree::merges_after(m / tree.block())));
      }
      const HostValues outputs = cut.run(update);
      for (const char* name : {"loss", "grad_norm", "lr"})
        EXPECT_NEAR(outputs.at(name).data[0], expected.at(name).data[0], 1e-12) << name;
      for (const char* name : {"params", "exp_avg", "exp_avg_sq", "ema", "loss_history"})
        for (size_t i = 0; i < whole.state[name].data.size(); ++i)
          EXPECT_NEAR(cut.state[name].data[i], whole.state[name].data[i], 1e-10) << name;
    }
  }
}

TEST(Microbatches, LeaveNothingOfTheirOwnInACheckpoint) {
  const ParameterSet set = mlp_parameters(network()).value();
  TrainStepOptions options = options_for(Optimizer::Kind::kAdamW);
  const auto kept = [&] {
    std::vector<std::string> names;
    for (const StateTensor& tensor : train_state(set, options))
      if (!tensor.passing) names.push_back(tensor.name);
    return names;
  };
  const std::vector<std::string> plain = kept();
  options.microbatches = 8;
  for (const int64_t own : {1, 4, 8}) {
    options.own_microbatches = own;
    EXPECT_EQ(kept(), plain);
  }
}

// A network whose output is frozen weight times trainable weight times x.
Tensor half_frozen(const Scope& scope, Tensor x) {
  const Tensor frozen = scope.parameter(
      "frozen", {.foreign_shape = Shape{3}, .init = Init::kOnes, .trainable = false});
  const Tensor trained =
      scope.parameter("trained", {.foreign_shape = Shape{3}, .init = Init::kOnes});
  return x * frozen * trained;
}

TEST(TrainStep, LeavesFrozenParametersAlone) {
  const ParameterSet set = declare_parameters(
      [](Graph& graph, const Scope& scope) { half_frozen(scope, input(graph, "x", Shape{3})); });
  TrainStepOptions options = options_for(Optimizer::Kind::kAdamW);
  options.optimizer.weight_decay = 0.5;
  const Program program = train_step_program(
      set,
      [](Graph& graph, const Scope& scope, Tensor) {
        return mean_all(square(half_frozen(scope, input(graph, "x", Shape{3}))));
      },
      options);
  ProgramRunner runner;
  runner.state = initial_state(set, options);
  runner.run(program, {{"x", host_value(Shape{3}, std::vector<double>{1, 2, 3})}});
  for (size_t i = 0; i < 3; ++i) {
    const size_t frozen = static_cast<size_t>(set.find("frozen")->offset) + i;
    EXPECT_EQ(runner.state["params"].data[frozen], 1);
    EXPECT_LT(runner.state["params"].data[i], 1);
  }
}

TEST(TrainStep, LossMayDependOnTheCounter) {
  const ParameterSet set = mlp_parameters(network()).value();
  const TrainStepOptions options = options_for(Optimizer::Kind::kSgd);
  const Program program = train_step_program(
      set,
      [](Graph& graph, const Scope& parameters, Tensor counter) {
        const Tensor x = broadcast_to(cast(counter, DType::kF32), Shape{1, 2});
        return mean_all(square(mlp(parameters, network(), x))) + cast(counter, DType::kF32) +
               scalar(graph, 0);
      },
      options);
  ProgramRunner runner;
  runner.state = initial_state(set, options);
  const double first = runner.run(program).at("loss").data[0];
  const double second = runner.run(program).at("loss").data[0];
  EXPECT_LT(first, 1);
  EXPECT_GT(second, 1);
}

TEST(Mlp, GradientsMatchFiniteDifferences) {
  for (const char* act_fn : {"silu", "tanh", "softplus"}) {
    MlpConfig config = network();
    config.act_fn = act_fn;
    config.time_features = 6;
    const ParameterSet set = mlp_parameters(config).value();
    EXPECT_EQ(set.find("fc1.weight")->spec.foreign_shape, (Shape{5, 8}));
    EXPECT_EQ(set.find("fc2.weight")->spec.foreign_shape, (Shape{1, 5}));
    Graph graph;
    const Tensor flat = input(graph, "params", Shape{set.size()});
    const Tensor x = input(graph, "x", Shape{2, 2});
    const Tensor y = mlp(Scope(set, flat), config, x, input(graph, "time", Shape{2}));
    const Tensor loss = mean_all(square(y - 0.3));
    const HostValues inputs = {
        {"params", host_value(Shape{set.size()}, initial_parameters(set, 4))},
        {"x", host_value(Shape{2, 2}, std::vector<double>{0.1, -0.7, 1.2, 0.4})},
        {"time", host_value(Shape{2}, std::vector<double>{0.01, 0.9})}};
    expect_gradient(loss, flat_gradient(set, flat, loss), "params", inputs);
    expect_gradient(loss, grad(loss, {x})[0], "x", inputs);
  }
}

TEST(Mlp, RefusesWrongConfigurations) {
  MlpConfig config;
  config.time_features = 3;
  EXPECT_NE(mlp_parameters(config).error().message.find("time_features"), std::string::npos);
  config = {};
  config.hidden_layers = 0;
  EXPECT_NE(mlp_parameters(config).error().message.find("hidden_layers"), std::string::npos);
  config = {};
  config.act_fn = "sine";
  EXPECT_NE(mlp_parameters(config).error().message.find("sine"), std::string::npos);
}

// A loss that counts its batches, and adds the count to the loss.
TEST(TrainStep, ALossCarriesItsOwnStateFromBatchToBatch) {
  const ParameterSet set = mlp_parameters(network()).value();
  const LossFunction counting = [](Graph& graph, const Scope& parameters,
                                   Tensor counter) -> LossResult {
    const Tensor seen = input(graph, "seen", Shape{});
    LossResult result = regression(network())(graph, parameters, counter).loss + seen;
    result.updates = {{seen, seen + 1.0}};
    return result;
  };
  for (const int64_t accumulation : {1, 2}) {
    TrainStepOptions options;
    options.accumulation = accumulation;
    options.optimizer.learning_rate.base = 0;
    options.loss_state = {{.name = "seen", .shape = {}}};
    EXPECT_EQ(train_state(set, options).back().name, "seen");
    ProgramRunner runner;
    runner.state = initial_state(set, options);
    const Program program = accumulation == 1 ? train_step_program(set, counting, options)
                                              : accumulate_program(set, counting, options);
    const double first = runner.run(program, batch_inputs(1)).at("loss").data[0];
    const double second = runner.run(program, batch_inputs(1)).at("loss").data[0];
    EXPECT_NEAR(second - first, 1, 1e-12);
    EXPECT_EQ(runner.state.at("seen").data[0], 2);
  }
}

}  // namespace
}  // namespace ito
