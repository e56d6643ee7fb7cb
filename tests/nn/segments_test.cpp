// Parameter sets in several segments: where they are cut, that nothing but sums of squares depends
// on it, and the arithmetic of networks beyond 2^31 numbers, none of which is allocated.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "graph/compile.h"
#include "nn/mlp.h"
#include "nn/network.h"
#include "nn/train_step.h"
#include "nn/unet2d.h"
#include "program_runner.h"
#include "regression.h"

namespace ito {
namespace {

MlpConfig config() {
  return {.in_features = 2, .out_features = 1, .hidden_features = 5, .hidden_layers = 2};
}

ParameterSet cut_set(int64_t most) {
  ParameterSet set = mlp_parameters(config()).value();
  EXPECT_TRUE(set.cut(most).ok());
  return set;
}

// Every parameter whole in its segment, the segments one after the other.
void expect_whole(const ParameterSet& set, int64_t most) {
  int64_t end = 0, trainable = 0;
  for (const Segment& segment : set.segments()) {
    EXPECT_EQ(segment.first, end);
    EXPECT_LE(segment.size, most);
    end += segment.size;
    trainable += segment.trainable_size;
  }
  EXPECT_EQ(end, set.size());
  EXPECT_EQ(trainable, set.trainable_size());
  for (const Parameter& parameter : set.parameters()) {
    const Segment& segment = set.segments()[parameter.segment];
    EXPECT_GE(parameter.offset, segment.first) << parameter.name;
    EXPECT_LE(parameter.offset + parameter.numel(), segment.first + segment.size) << parameter.name;
  }
}

TEST(Segments, NoParameterLiesInTwo) {
  const ParameterSet whole = mlp_parameters(config()).value(), cut = cut_set(48);
  EXPECT_EQ(whole.segments().size(), 1u);
  EXPECT_GE(cut.segments().size(), 3u);
  expect_whole(cut, 48);
  // The flat numbers on the host are the same.
  EXPECT_EQ(cut.size(), whole.size());
  EXPECT_EQ(initial_parameters(cut, 3), initial_parameters(whole, 3));
}

TEST(Segments, FrozenParametersComeLast) {
  ParameterSet set;
  set.declare("a", {.foreign_shape = {20}, .trainable = false});
  set.declare("b", {.foreign_shape = {16}});
  set.declare("c", {.foreign_shape = {16}});
  set.finish();
  ASSERT_TRUE(set.cut(32).ok());
  expect_whole(set, 32);
  ASSERT_EQ(set.segments().size(), 2u);
  EXPECT_EQ(set.segments()[0].trainable_size, 32);
  EXPECT_EQ(set.segments()[1].trainable_size, 0);
}

TEST(Segments, AParameterThatIsTooLargeIsNamed) {
  ParameterSet set = mlp_parameters(config()).value();
  const Status status = set.cut(16);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(status.error().message.find(".weight has 25 numbers [5,5]"), std::string::npos)
      << status.error().message;
  EXPECT_EQ(set.segments().size(), 1u);
}

TEST(Segments, ADeviceSetsTheirSize) {
  EXPECT_EQ(most_segment_elements({}), (int64_t{1} << 31) - 16);
  EXPECT_EQ(most_segment_elements({.max_allocation_bytes = 1000}), 240);
  EXPECT_EQ(most_segment_elements({.max_allocation_bytes = uint64_t{1} << 32}), int64_t{1} << 30);
  const Network network = mlp_network(config()).value();
  EXPECT_EQ(&network.for_device({}).value().set(), &network.set());
  EXPECT_GE(network.for_device({.max_allocation_bytes = 200}).value().set().segments().size(), 3u);
  EXPECT_FALSE(network.for_device({.max_allocation_bytes = 64}).ok());
}

// The states after a few updates, whole.
std::map<std::string, std::vector<double>> train(const ParameterSet& set,
                                                 const TrainStepOptions& options) {
  ProgramRunner runner;
  const std::vector<float> weights = initial_parameters(set, 0);
  const std::vector<StateTensor> states = train_state(set, options);
  for (const StateTensor& state : states) {
    std::vector<double> start(static_cast<size_t>(state.shape.numel()));
    if (state.start == StateTensor::Start::kParameters)
      std::copy_n(weights.begin() + state.first, start.size(), start.begin());
    runner.state[state.name] = host_value(state.shape, start);
  }
  for (uint32_t k = 0; k < 3; ++k) {
    if (options.accumulation == 1) {
      runner.run(train_step_program(set, regression(config()), options), batch_inputs(k));
      continue;
    }
    for (uint32_t i = 0; i < 2; ++i)
      runner.run(accumulate_program(set, regression(config()), options), batch_inputs(2 * k + i));
    runner.run(apply_program(set, options), {});
  }
  std::map<std::string, std::vector<double>> whole;
  for (const StateTensor& state : states) {
    std::vector<double>& values = whole[state.checkpoint_name()];
    EXPECT_EQ(static_cast<int64_t>(values.size()), state.first) << state.name;
    const std::vector<double>& part = runner.state[state.name].data;
    values.insert(values.end(), part.begin(), part.end());
  }
  return whole;
}

// Optimiser, average, accumulation and clipping by one norm over all segments. Without clipping no
// number depends on the segments; with it the norm's sum is in another order, in double precision.
TEST(Segments, TrainAsOneTensorDoes) {
  for (const int64_t accumulation : {1, 2})
    for (const double clip : {0.0, 0.01}) {
      TrainStepOptions options;
      options.optimizer.learning_rate = {.base = 0.05};
      options.optimizer.weight_decay = 0.01;
      options.optimizer.max_grad_norm = clip;
      options.optimizer.average = {.kind = Average::Kind::kConstant, .decay = 0.75};
      options.accumulation = accumulation;
      const auto whole = train(mlp_parameters(config()).value(), options);
      const auto cut = train(cut_set(48), options);
      ASSERT_EQ(whole.size(), cut.size());
      for (const auto& [name, values] : whole) {
        ASSERT_EQ(values.size(), cut.at(name).size()) << name;
        for (size_t i = 0; i < values.size(); ++i)
          EXPECT_NEAR(cut.at(name)[i], values[i], clip == 0 ? 0 : 1e-12 * (1 + std::abs(values[i])))
              << name << " " << i;
      }
    }
}

// What no gradient reaches through is a whole segment here.
TEST(Segments, AFrozenSegmentStaysAsItIs) {
  const auto network = [](const Scope& scope) {
    return sum_all(
        scope.parameter("w", {.foreign_shape = {20}, .init = Init::kOnes}) *
        scope.parameter("fixed", {.foreign_shape = {20}, .init = Init::kOnes, .trainable = false}));
  };
  ParameterSet set = declare_parameters([&](Graph&, const Scope& scope) { network(scope); });
  ASSERT_TRUE(set.cut(32).ok());
  TrainStepOptions options;
  options.optimizer.weight_decay = 0.1;
  const Program program = train_step_program(
      set, [&](Graph&, const Scope& scope, Tensor) { return network(scope); }, options);
  ProgramRunner runner;
  for (const StateTensor& state : train_state(set, options))
    runner.state[state.name] =
        host_value(state.shape, std::vector<double>(static_cast<size_t>(state.shape.numel()), 1));
  runner.run(program, {});
  EXPECT_NE(runner.state["params.0"].data[0], 1);
  for (const double value : runner.state["params.1"].data) EXPECT_EQ(value, 1);
}

// More numbers than 31 bits count, in pieces of 4 GiB. A plan needs none of that memory.
TEST(Segments, ANetworkBeyond32BitsIsPlanned) {
  UNet2DConfig unet;
  unet.in_channels = unet.out_channels = 4;
  unet.block_out_channels = {1536, 3072, 4096};
  unet.down_block_types.assign(3, "DownBlock2D");
  unet.up_block_types.assign(3, "UpBlock2D");
  unet.layers_per_block = 2;
  const Network network = unet2d_network(unet).value();
  EXPECT_GT(network.set().size(), int64_t{1} << 31);
  EXPECT_EQ(network.set().segments().size(), 1u);

  const DeviceCaps caps{.is_cpu = true, .max_allocation_bytes = (uint64_t{1} << 32) - 4096};
  const Network cut = network.for_device(caps).value();
  EXPECT_GE(cut.set().segments().size(), 3u);
  expect_whole(cut.set(), most_segment_elements(caps));
  int64_t last = 0;
  for (const Parameter& parameter : cut.set().parameters()) {
    EXPECT_EQ(parameter.offset, network.set().find(parameter.name)->offset);
    last = std::max(last, parameter.offset);
  }
  EXPECT_GT(last, std::numeric_limits<int32_t>::max());

  const LossFunction loss = [&](Graph& graph, const Scope& parameters, Tensor) {
    return mean_all(
        square(cut.build(parameters, input(graph, "x", {1, 8, 8, 4}), input(graph, "t", {1}))));
  };
  TrainStepOptions options;
  options.optimizer.max_grad_norm = 1;
  const auto refused = compile(train_step_program(network.set(), loss, options), caps);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);

  const auto plan = compile(train_step_program(cut.set(), loss, options), caps);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  uint64_t weights = 0;
  for (const External& external : plan->externals) {
    EXPECT_LE(external.size, caps.max_allocation_bytes) << external.name;
    if (external.name.starts_with("params.")) weights += external.size;
  }
  EXPECT_EQ(weights, static_cast<uint64_t>(network.set().size()) * sizeof(float));
  // The gradient alone is larger than one piece.
  EXPECT_GT(plan->arena_size, weights);
  ASSERT_GT(plan->arena_piece, 0u);
  EXPECT_LE(plan->arena_piece, caps.max_allocation_bytes);
  for (const KernelCall& call : plan->calls) {
    for (const BufferRange& range : call.arguments) {
      if (range.space != BufferSpace::kArena) continue;
      EXPECT_LE(range.offset % plan->arena_piece + range.size, plan->arena_piece) << call.label;
    }
  }
}

}  // namespace
}  // namespace ito
