// Diffusion transformers on the interpreter, beside tests/golden/dit.py: PyTorch in double
// precision.
#include "nn/dit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finite_difference.h"
#include "nn/networks.h"
#include "sine_network.h"

namespace ito {
namespace {

DiTConfig tiny() {
  DiTConfig config;
  config.sample_size = 8;
  config.in_channels = 2;
  config.num_layers = 2;
  config.num_attention_heads = 2;
  config.attention_head_dim = 6;
  config.num_embeds_ada_norm = 3;
  return config;
}

// Classes, a variance, and images that are not as wide as the configuration's.
DiTConfig classes() {
  DiTConfig config = tiny();
  config.out_channels = 4;
  return config;
}

DiTConfig no_classes() {
  DiTConfig config = tiny();
  config.sample_size = 6;
  config.patch_size = 3;
  config.num_attention_heads = 3;
  config.attention_head_dim = 4;
  config.attention_bias = false;
  config.activation_fn = "gelu";
  config.num_embeds_ada_norm = 0;
  config.norm_elementwise_affine = true;
  config.norm_eps = 1e-3;
  return config;
}

SineNetwork built(const DiTConfig& config, const Shape& shape, std::vector<double> t,
                  std::vector<double> labels) {
  return {make_network(kDiT, config).value(), shape, std::move(t), std::move(labels)};
}

TEST(DiT, OutputAndGradientsAreThoseOfPyTorch) {
  SineNetwork told = built(classes(), {2, 4, 8, 2}, {7, 801}, {2, 3});
  expect_values(told, {.first = {0.44511453048876803, -1.0919019718261196, 0.4008461465518821,
                                 0.9156281838803676},
                       .output = {11.201021148440068, 0.16427892149189427},
                       .gradient = {2.6090024518564268, 1.006731800726349},
                       .weights = 12748});
  SineNetwork other = built(no_classes(), {1, 6, 6, 2}, {250}, {});
  expect_values(other, {.first = {0.8597208521235521, -1.3713781797379012, 0.27649747264538493,
                                  1.324250102820348},
                        .output = {7.424624733530157, -1.9482796700052738},
                        .gradient = {3.7027046299920574, -1.3353605641971549},
                        .weights = 12798});
}

TEST(DiT, GradientsAreThoseOfDifferences) {
  const SineNetwork told = built(classes(), {1, 4, 4, 2}, {30}, {1});
  const Tensor loss = mean_all(square(told.y));
  expect_gradient(loss, flat_gradient(told.network.set(), told.flat, loss), "params", told.inputs);
}

// adaLN-Zero: what a fresh network gives is 0.
TEST(DiT, BeginsAsZero) {
  SineNetwork told = built(classes(), {1, 4, 4, 2}, {30}, {1});
  const ParameterSet& set = told.network.set();
  told.inputs["params"] = host_value(Shape{set.size()}, initial_parameters(set, 0));
  EXPECT_EQ(summary_of(evaluate(told.y, told.inputs).data).norm, 0);
}

// DiT-XL/2 with a variance: 675 million weights with one embedding of time and class (Peebles & Xie
// 2023, table 1), of which diffusers has one a block.
TEST(DiT, CountsTheWeightsOfDiTXL) {
  DiTConfig config;
  config.out_channels = 8;
  const Network network = dit_network(config).value();
  const int64_t width = 1152,
                embedding = (256 + 1) * width + (width + 1) * width + (1000 + 1) * width;
  const int64_t published = network.set().count() - 27 * embedding;
  EXPECT_EQ(std::llround(static_cast<double>(published) / 1e6), 675);
  const Signature& signature = network.signature();
  EXPECT_EQ(signature.out_channels, 8);
  EXPECT_EQ(signature.classes.classes(), 1001);
  const std::string block = "transformer_blocks.27.";
  for (const auto& [name, shape] :
       {std::pair<std::string, Shape>{"norm1.linear.weight", {6912, 1152}},
        {"norm1.emb.class_embedder.embedding_table.weight", {1001, 1152}},
        {"norm1.emb.timestep_embedder.linear_1.weight", {1152, 256}},
        {"attn1.to_out.0.bias", {1152}},
        {"ff.net.0.proj.weight", {4608, 1152}},
        {"ff.net.2.weight", {1152, 4608}}}) {
    const Parameter* parameter = network.set().find(block + name);
    ASSERT_NE(parameter, nullptr) << name;
    EXPECT_EQ(parameter->spec.foreign_shape, shape) << name;
  }
}

TEST(DiT, RefusesWhatItIsNot) {
  const auto refused = [](auto change, const char* part) {
    DiTConfig config = tiny();
    change(config);
    const auto network = dit_network(config);
    ASSERT_FALSE(network.ok()) << part;
    EXPECT_NE(network.error().message.find(part), std::string::npos) << network.error().message;
  };
  refused([](auto& c) { c.attention_head_dim = 5; }, "multiple of 4, found 10");
  refused([](auto& c) { c.activation_fn = "geglu"; }, "activation_fn");
  refused([](auto& c) { c.patch_size = 0; }, "patch_size");
  refused([](auto& c) { c.num_embeds_ada_norm = -1; }, "num_embeds_ada_norm");
  refused([](auto& c) { c.dropout = -0.1; }, "dropout: expected a number from 0 to 1, found -0.1");
  const Network network = dit_network(tiny()).value();
  EXPECT_TRUE(network.check_size(6, 10).ok());
  EXPECT_FALSE(network.check_size(6, 9).ok());
}

}  // namespace
}  // namespace ito
