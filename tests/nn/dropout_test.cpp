// Dropout on the interpreter: how much is left out, in which layers, and of which evaluations.
#include "nn/dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "finite_difference.h"
#include "nn/dit.h"
#include "nn/networks.h"
#include "nn/unet2d.h"
#include "nn/unet2d_condition.h"
#include "program_runner.h"

namespace ito {
namespace {

// Of the images first ... first + n - 1 of a batch.
Randomness draws(Graph& graph, int64_t n, int64_t first = 0, double step = 11) {
  std::vector<double> images;
  for (int64_t i = 0; i < n; ++i) images.push_back(static_cast<double>(first + i));
  return {.key = constant(graph, {2}, {3, 5}, DType::kU32),
          .image = constant(graph, {n}, images, DType::kU32),
          .step = scalar(graph, step, DType::kU32)};
}

// A layer, of whose parameters nothing here depends.
struct Layer {
  Graph graph;
  ParameterSet set = declare_parameters(
      [](Graph&, const Scope& scope) { scope.parameter("weight", {.foreign_shape = Shape{1}}); });
  Scope scope{set, input(graph, "params", Shape{set.size()})};

  std::vector<double> ones(const Scope& of, const Shape& shape, double p = 0.5) {
    return evaluate(dropout(of, full(graph, shape, 1), p)).data;
  }
};

TEST(Dropout, LeavesOutTheShareItIsToldAndScalesTheRest) {
  constexpr int64_t kImages = 8, kElements = 5000;
  constexpr double kCount = kImages * kElements;
  for (const double p : {0.1, 0.5, 0.9}) {
    Layer layer;
    const Scope scope = layer.scope.drawing(draws(layer.graph, kImages));
    const Tensor x = full(layer.graph, {kImages, kElements}, 3);
    const std::vector<double> y = evaluate(dropout(scope, x, p)).data;
    double zeros = 0, pairs = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      zeros += y[i] == 0 ? 1 : 0;
      pairs += i % 2 == 1 && y[i] == 0 && y[i - 1] == 0 ? 1 : 0;
      ASSERT_TRUE(y[i] == 0 || std::abs(y[i] - 3 / (1 - p)) < 1e-12) << y[i];
    }
    // Four standard errors.
    EXPECT_NEAR(zeros / kCount, p, 4 * std::sqrt(p * (1 - p) / kCount));
    // Neighbours are left out independently of each other.
    EXPECT_NEAR(pairs / (kCount / 2), p * p, 4 * std::sqrt(p * p * (1 - p * p) / (kCount / 2)));
  }
}

TEST(Dropout, OfAllIsZero) {
  Layer layer;
  const Scope scope = layer.scope.drawing(draws(layer.graph, 2));
  for (const double value : layer.ones(scope, {2, 40}, 1)) EXPECT_EQ(value, 0);
}

TEST(Dropout, IsItsArgumentWithoutDrawsAndWithoutAShare) {
  Layer layer;
  const Tensor x = full(layer.graph, {2, 4}, 1);
  EXPECT_EQ(dropout(layer.scope, x, 0.5).id(), x.id());
  Randomness keyless = draws(layer.graph, 2);
  keyless.key = {};
  EXPECT_EQ(dropout(layer.scope.drawing(keyless), x, 0.5).id(), x.id());
  EXPECT_EQ(dropout(layer.scope.drawing(draws(layer.graph, 2)), x, 0).id(), x.id());
}

TEST(Dropout, IsAnotherForEveryLayerStepSeedAndImage) {
  Layer layer;
  const Shape shape{2, 64};
  const Randomness random = draws(layer.graph, 2);
  Randomness other = random;
  other.key = constant(layer.graph, {2}, {4, 5}, DType::kU32);
  const Scope scope = layer.scope.drawing(random);
  const std::vector<double> first = layer.ones(scope / "a", shape);
  EXPECT_EQ(layer.ones(scope / "a", shape), first);
  EXPECT_NE(layer.ones(scope / "b", shape), first);
  EXPECT_NE(layer.ones(layer.scope.drawing(draws(layer.graph, 2, 0, 12)) / "a", shape), first);
  EXPECT_NE(layer.ones(layer.scope.drawing(other) / "a", shape), first);
  EXPECT_FALSE(std::equal(first.begin(), first.begin() + 64, first.begin() + 64));
}

TEST(Dropout, OfAnImageDoesNotDependOnItsBatch) {
  Layer layer;
  const auto whole = layer.ones(layer.scope.drawing(draws(layer.graph, 64)), {64, 30});
  const auto part = layer.ones(layer.scope.drawing(draws(layer.graph, 16, 48)), {16, 30});
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 48 * 30));
}

// As losses that evaluate a batch along several directions at once want it: of one function.
TEST(Dropout, IsTheSameInCopiesOfABatch) {
  Layer layer;
  const Scope scope = layer.scope.drawing(draws(layer.graph, 4));
  const auto batch = layer.ones(scope, {4, 30}), copies = layer.ones(scope, {12, 30});
  for (int copy = 0; copy < 3; ++copy)
    EXPECT_TRUE(std::equal(batch.begin(), batch.end(), copies.begin() + copy * 120)) << copy;
}

UNet2DConfig unet(double p) {
  UNet2DConfig config;
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {8, 16};
  config.down_block_types = {"ResnetDownsampleBlock2D", "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "ResnetUpsampleBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.num_class_embeds = 3;
  config.dropout = p;
  return config;
}

UNet2DConfig ncsnpp(double p) {
  UNet2DConfig config = unet(p);
  config.block_out_channels = {32, 32};
  config.down_block_types = {"SkipDownBlock2D", "AttnSkipDownBlock2D"};
  config.up_block_types = {"AttnSkipUpBlock2D", "SkipUpBlock2D"};
  config.norm_num_groups.reset();
  config.time_embedding_type = "fourier";
  return config;
}

UNet2DConditionConfig conditioned(double p) {
  UNet2DConditionConfig config;
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {8, 16};
  config.down_block_types = {"CrossAttnDownBlock2D", "DownBlock2D"};
  config.up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D"};
  config.layers_per_block = {1};
  config.norm_num_groups = 4;
  config.cross_attention_dim = {6};
  config.attention_head_dim = {2};
  config.dropout = p;
  return config;
}

DiTConfig transformer(double p) {
  DiTConfig config;
  config.sample_size = 8;
  config.in_channels = 1;
  config.num_layers = 2;
  config.num_attention_heads = 2;
  config.attention_head_dim = 6;
  config.num_embeds_ada_norm = 3;
  config.dropout = p;
  return config;
}

// A network on two images of 8x8, with weights that are sines.
struct Built {
  Network network;
  Graph graph;
  Tensor flat, loss;
  HostValues inputs;

  Built(std::string_view row, const NetworkConfig& config, bool training)
      : network(make_network(row, config).value()) {
    if (network.signature().context > 0) network = network.with_context(5);
    const Randomness random = draws(graph, 2);
    const Signature& signature = network.signature();
    const ParameterSet& set = network.set();
    flat = input(graph, "params", {set.size()});
    const Scope scope(set, flat);
    const Conditioning given = conditioning_inputs(graph, signature, 2);
    const Tensor y = network.build(training ? scope.drawing(random) : scope,
                                   input(graph, "x", {2, 8, 8, 1}), input(graph, "t", {2}), given);
    loss = mean_all(square(y + 1.0));
    inputs["params"] = {{set.size()}, sines(set.size(), 0.3)};
    inputs["x"] = {{2, 8, 8, 1}, sines(128, 1)};
    inputs["t"] = {{2}, {3, 700}};
    if (given.classes) inputs["labels"] = {{2}, {2, 0}};
    if (given.context) inputs["context"] = {given.context.shape(), sines(2 * 5 * 6, 1)};
  }

  static std::vector<double> sines(int64_t count, double scale) {
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(scale * std::sin(1.1 * static_cast<double>(i)) + 0.1 * scale);
    return values;
  }

  Tensor gradient() { return flat_gradient(network.set(), flat, loss); }
};

struct Case {
  const char* name;
  std::string_view row;
  NetworkConfig (*config)(double p);
  size_t (*layers)(const ParameterSet& set);      // with dropout
  bool (*stopped)(const std::string& parameter);  // no gradient passes where all is left out
};

bool has(const std::string& name, std::string_view part) {
  return name.find(part) != std::string::npos;
}

// diffusers' ResnetBlock2D: conv2(dropout(nonlinearity(norm2(...)))); its attention has none.
size_t residual_blocks(const ParameterSet& set) {
  return static_cast<size_t>(
      std::count_if(set.parameters().begin(), set.parameters().end(),
                    [](const Parameter& p) { return has(p.name, ".conv2.weight"); }));
}
bool in_a_residual_branch(const std::string& name) {
  if (has(name, ".attentions.")) return false;
  return has(name, ".norm1.") || has(name, ".conv1.") || has(name, ".time_emb_proj.") ||
         has(name, ".norm2.") || has(name, ".conv2.weight") || has(name, "time_embedding.") ||
         has(name, "class_embedding.");
}

// diffusers' Attention: to_out[1] after to_out[0]; FeedForward: net[1] before net[2].
size_t attention_and_feed_forward(const ParameterSet& set) {
  return 2 * static_cast<size_t>(
                 std::count_if(set.parameters().begin(), set.parameters().end(),
                               [](const Parameter& p) { return has(p.name, ".to_q.weight"); }));
}
bool in_a_transformer_branch(const std::string& name) {
  return has(name, ".attn1.") || has(name, ".ff.net.0.") || has(name, ".ff.net.2.weight");
}

const Case kCases[] = {
    {"UNet2D", kUNet2D, [](double p) { return NetworkConfig(unet(p)); }, residual_blocks,
     in_a_residual_branch},
    {"Ncsnpp", kUNet2D, [](double p) { return NetworkConfig(ncsnpp(p)); }, residual_blocks,
     in_a_residual_branch},
    {"Condition", kUNet2DCondition, [](double p) { return NetworkConfig(conditioned(p)); },
     residual_blocks, in_a_residual_branch},
    {"DiT", kDiT, [](double p) { return NetworkConfig(transformer(p)); },
     attention_and_feed_forward, in_a_transformer_branch},
};

class DropoutOfNetworks : public ::testing::TestWithParam<Case> {};

// The backward pass leaves out what the forward pass did.
TEST_P(DropoutOfNetworks, GradientsMatchFiniteDifferences) {
  Built net(GetParam().row, GetParam().config(0.3), true);
  expect_gradient(net.loss, grad(net.loss, {input(net.graph, "x", {2, 8, 8, 1})})[0], "x",
                  net.inputs);
  // What is frozen (Fourier frequencies) has a slope, but no gradient.
  const Segment& whole = net.network.set().segments()[0];
  if (whole.trainable_size == whole.size)
    expect_gradient(net.loss, net.gradient(), "params", net.inputs);
  Built plain(GetParam().row, GetParam().config(0.3), false);
  EXPECT_NE(evaluate(net.loss, net.inputs).data, evaluate(plain.loss, plain.inputs).data);
}

// No two layers share random numbers.
TEST_P(DropoutOfNetworks, EveryLayerHasItsOwn) {
  const Built net(GetParam().row, GetParam().config(0.3), true);
  size_t found = 0;
  for (NodeId id = 0; id < net.graph.size(); ++id)
    found += net.graph.node(id).op == Op::kPhilox ? 1u : 0u;
  EXPECT_EQ(found, GetParam().layers(net.network.set()));
  EXPECT_GE(found, 4u);
}

// Where everything is left out, gradients end at the places where diffusers has its layers.
TEST_P(DropoutOfNetworks, IsWhereDiffusersHasIt) {
  Built net(GetParam().row, GetParam().config(1), true);
  const std::vector<double> gradient = evaluate(net.gradient(), net.inputs).data;
  for (const Parameter& parameter : net.network.set().parameters()) {
    // Softmax does not see what is added to all keys.
    if (!parameter.spec.trainable || has(parameter.name, ".to_k.bias")) continue;
    const auto begin = gradient.begin() + parameter.offset;
    const bool zero =
        std::all_of(begin, begin + parameter.numel(), [](double g) { return g == 0; });
    EXPECT_EQ(zero, GetParam().stopped(parameter.name)) << parameter.name;
  }
}

TEST_P(DropoutOfNetworks, IsNotInTheGraphOutsideTrainingNorWithoutAShare) {
  const auto text = [](double p, bool training) {
    return to_text(Built(GetParam().row, GetParam().config(p), training).graph);
  };
  const std::string plain = text(0, false);
  EXPECT_EQ(text(0, true), plain);
  EXPECT_EQ(text(0.3, false), plain);
  EXPECT_NE(text(0.3, true), plain);
}

INSTANTIATE_TEST_SUITE_P(Networks, DropoutOfNetworks, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace ito
