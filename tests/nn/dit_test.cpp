// Diffusion transformers on the interpreter, beside tests/golden/dit.py: PyTorch in double
// precision.
#include "nn/dit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "finite_difference.h"
#include "nn/networks.h"
#include "program_runner.h"

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

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

double dot(const std::vector<double>& values) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[i] * std::cos(static_cast<double>(i));
  return sum;
}

// The network with weights and a sample that are sines, as the script has them.
struct Built {
  Network network;
  Graph graph;
  Tensor flat, y;
  HostValues inputs;

  Built(const DiTConfig& config, const Shape& shape, std::vector<double> t,
        std::vector<double> labels)
      : network(make_network(kDiT, config).value()) {
    const ParameterSet& set = network.set();
    std::vector<double> weights(static_cast<size_t>(set.size())), x;
    for (const Parameter* parameter : sorted()) {
      const double phase = 1.3 * static_cast<double>(phase_++);
      for_each_element(parameter->spec, [&](int64_t internal, int64_t foreign) {
        weights[static_cast<size_t>(parameter->offset + internal)] =
            0.3 * std::sin(0.7 * static_cast<double>(foreign) + phase);
      });
    }
    for (int64_t i = 0; i < shape.numel(); ++i) x.push_back(std::sin(1.1 * static_cast<double>(i)));
    inputs = {{"params", {{set.size()}, weights}}, {"x", {shape, x}}, {"t", {{shape[0]}, t}}};
    flat = input(graph, "params", {set.size()});
    const Conditioning given = conditioning_inputs(graph, network.signature(), shape[0]);
    if (given.classes) inputs["labels"] = {{shape[0]}, std::move(labels)};
    y = network.build(flat, input(graph, "x", shape), input(graph, "t", {shape[0]}), given);
  }

  std::vector<const Parameter*> sorted() const {
    std::map<std::string, const Parameter*> by_name;
    for (const Parameter& parameter : network.set().parameters())
      by_name[parameter.name] = &parameter;
    std::vector<const Parameter*> parameters;
    for (const auto& [name, parameter] : by_name) parameters.push_back(parameter);
    return parameters;
  }

  // The gradient of the mean square, in PyTorch's layout and order of names.
  std::vector<double> gradient() {
    const HostValue value =
        evaluate(flat_gradient(network.set(), flat, mean_all(square(y))), inputs);
    std::vector<double> foreign;
    for (const Parameter* parameter : sorted()) {
      std::vector<double> own(static_cast<size_t>(parameter->numel()));
      for_each_element(parameter->spec, [&](int64_t internal, int64_t at) {
        own[static_cast<size_t>(at)] =
            value.data[static_cast<size_t>(parameter->offset + internal)];
      });
      foreign.insert(foreign.end(), own.begin(), own.end());
    }
    return foreign;
  }

 private:
  int phase_ = 0;
};

struct Expected {
  const char* name;
  DiTConfig config;
  Shape shape;
  std::vector<double> t, labels;
  double first[4], norm, dot, gradient_norm, gradient_dot;
  size_t weights;
};

TEST(DiT, OutputAndGradientsAreThoseOfPyTorch) {
  for (const Expected& e :
       {Expected{"classes and a variance",
                 classes(),
                 {2, 4, 8, 2},
                 {7, 801},
                 {2, 3},
                 {0.44511453048876803, -1.0919019718261196, 0.4008461465518821, 0.9156281838803676},
                 11.201021148440068,
                 0.16427892149189427,
                 2.6090024518564268,
                 1.006731800726349,
                 12748},
        Expected{"no classes, other options",
                 no_classes(),
                 {1, 6, 6, 2},
                 {250},
                 {},
                 {0.8597208521235521, -1.3713781797379012, 0.27649747264538493, 1.324250102820348},
                 7.424624733530157,
                 -1.9482796700052738,
                 3.7027046299920574,
                 -1.3353605641971549,
                 12798}}) {
    SCOPED_TRACE(e.name);
    Built built(e.config, e.shape, e.t, e.labels);
    EXPECT_EQ(static_cast<size_t>(built.network.set().count()), e.weights);
    const std::vector<double> y = evaluate(built.y, built.inputs).data;
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(y[i], e.first[i], 1e-9) << i;
    EXPECT_NEAR(norm(y), e.norm, 1e-9);
    EXPECT_NEAR(dot(y), e.dot, 1e-9);
    const std::vector<double> gradient = built.gradient();
    EXPECT_NEAR(norm(gradient), e.gradient_norm, 1e-9);
    EXPECT_NEAR(dot(gradient), e.gradient_dot, 1e-9);
  }
}

TEST(DiT, GradientsAreThoseOfDifferences) {
  Built built(classes(), {1, 4, 4, 2}, {30}, {1});
  const Tensor loss = mean_all(square(built.y));
  expect_gradient(loss, flat_gradient(built.network.set(), built.flat, loss), "params",
                  built.inputs);
}

// adaLN-Zero: what a fresh network gives is 0.
TEST(DiT, BeginsAsZero) {
  Built built(classes(), {1, 4, 4, 2}, {30}, {1});
  const ParameterSet& set = built.network.set();
  built.inputs["params"] = host_value(Shape{set.size()}, initial_parameters(set, 0));
  EXPECT_EQ(norm(evaluate(built.y, built.inputs).data), 0);
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
