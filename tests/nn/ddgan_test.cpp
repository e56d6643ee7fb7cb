#include "nn/ddgan.h"

#include <gtest/gtest.h>

#include <random>

#include "finite_difference.h"
#include "nn/unet2d.h"
#include "program_runner.h"

namespace ito {
namespace {

DdganConfig tiny() {
  DdganConfig config;
  UNet2DConfig& unet = config.unet;
  unet.in_channels = unet.out_channels = 1;
  unet.block_out_channels = {4, 8};
  unet.down_block_types = {"DownBlock2D", "DownBlock2D"};
  unet.up_block_types = {"UpBlock2D", "UpBlock2D"};
  unet.layers_per_block = 1;
  unet.norm_num_groups = 2;
  unet.attention_head_dim = {};
  unet.class_embed_type = "identity";
  config.mapping = {.latent = 3, .layers = 2, .features = 16, .classes = 4};
  config.discriminator_channels = {4, 6};
  return config;
}

HostValue random_value(const Shape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> data(static_cast<size_t>(shape.numel()));
  for (double& value : data) value = normal(random);
  return host_value(shape, std::move(data));
}

struct Networks {
  DdganConfig config = tiny();
  ParameterSet set = ddgan_parameters(config).value();
  Graph graph;
  Tensor flat = input(graph, "params", Shape{set.size()});
  Tensor x = input(graph, "x", Shape{2, 8, 8, 1});
  Tensor previous = input(graph, "previous", Shape{2, 8, 8, 1});
  Tensor t = input(graph, "t", Shape{2});
  Tensor z = input(graph, "z", Shape{2, 3});
  Tensor labels = input(graph, "labels", Shape{2}, DType::kU32);
  HostValues values = {{"params", host_value(flat.shape(), initial_parameters(set, 3))},
                       {"x", random_value(x.shape(), 1)},
                       {"previous", random_value(x.shape(), 2)},
                       {"t", host_value(Shape{2}, std::vector<double>{0, 3})},
                       {"z", random_value(z.shape(), 4)},
                       {"labels", host_value(Shape{2}, std::vector<double>{1, 3})}};
};

TEST(Ddgan, GeneratorDependsOnLatentTimeAndClass) {
  Networks n;
  const Tensor y = ddgan_generator(Scope(n.set, n.flat), n.config.unet, n.config.mapping, n.x, n.t,
                                   n.z, n.labels);
  ASSERT_EQ(y.shape(), n.x.shape());
  const HostValue before = evaluate(y, n.values);
  for (double value : before.data) EXPECT_LT(std::abs(value), 1);
  for (const char* name : {"z", "t", "labels"}) {
    HostValues other = n.values;
    other[name].data[0] += 1;
    const HostValue after = evaluate(y, other);
    EXPECT_NE(after.data[0], before.data[0]) << name;
    EXPECT_EQ(after.data[64], before.data[64]) << name << " of another image";
  }
  // The latent's length does not matter, its direction does.
  HostValues longer = n.values;
  for (double& value : longer["z"].data) value *= 2;
  EXPECT_NEAR(evaluate(y, longer).data[5], before.data[5], 1e-6);
}

TEST(Ddgan, DiscriminatorGivesOneLogitPerImageOfBothImagesTimeAndClass) {
  Networks n;
  const Tensor logits =
      ddgan_discriminator(Scope(n.set, n.flat), n.config, n.previous, n.x, n.t, n.labels);
  ASSERT_EQ(logits.shape(), (Shape{2}));
  const HostValue before = evaluate(logits, n.values);
  for (const char* name : {"x", "previous", "t", "labels"}) {
    HostValues other = n.values;
    other[name].data[0] += 1;
    const HostValue after = evaluate(logits, other);
    EXPECT_NE(after.data[0], before.data[0]) << name;
    EXPECT_EQ(after.data[1], before.data[1]) << name << " of another image";
  }
}

TEST(Ddgan, FrozenScopeHasTheSameValuesAndNoGradient) {
  Networks n;
  const Scope scope(n.set, n.flat);
  const auto logits = [&](const Scope& of) {
    return ddgan_discriminator(of, n.config, n.previous, n.x, n.t, n.labels);
  };
  const Tensor moving = sum_all(logits(scope)), still = sum_all(logits(scope.frozen()));
  EXPECT_EQ(evaluate(moving, n.values).data, evaluate(still, n.values).data);
  const HostValue gradient = evaluate(flat_gradient(n.set, n.flat, still), n.values);
  for (double value : gradient.data) EXPECT_EQ(value, 0);
}

// R1's gradient with respect to the weights is a second derivative.
TEST(Ddgan, GradientOfTheSlopePenaltyIsThatOfFiniteDifferences) {
  Networks n;
  const Tensor logits =
      ddgan_discriminator(Scope(n.set, n.flat), n.config, n.previous, n.x, n.t, n.labels);
  const Tensor slope = grad(sum_all(logits), {n.previous})[0];
  const Tensor penalty = mean_all(square(slope));
  expect_gradient(penalty, flat_gradient(n.set, n.flat, penalty), "params", n.values, 2, 2e-5);
}

TEST(Ddgan, TheGeneratorLiesAmongBothNetworksParameters) {
  const DdganConfig config = tiny();
  const Network generator = ddgan_generator_network({config.unet, config.mapping}).value();
  const Network discriminator = ddgan_discriminator_network(config).value();
  const ParameterSet both = ddgan_parameters(config).value();
  EXPECT_EQ(generator.signature().latent, config.mapping.latent);
  EXPECT_EQ(generator.signature().classes.classes(), config.mapping.classes);
  EXPECT_EQ(generator.set().parameters().size() + discriminator.set().parameters().size(),
            both.parameters().size());
  const Network among = generator.among(both);
  EXPECT_EQ(among.set().size(), both.size());
  EXPECT_EQ(among.own_parameters().find("discriminator.conv_in.weight"), nullptr);
  EXPECT_NE(discriminator.own_parameters().find("discriminator.conv_in.weight"), nullptr);
}

TEST(Ddgan, RefusesConfigurationsThatDoNotFit) {
  const auto message = [](auto change) {
    DdganConfig config = tiny();
    change(config);
    const auto set = ddgan_parameters(config);
    return set.ok() ? std::string() : set.error().message;
  };
  EXPECT_EQ(message([](DdganConfig&) {}), "");
  EXPECT_NE(message([](DdganConfig& c) { c.mapping.features = 5; }), "");
  EXPECT_NE(message([](DdganConfig& c) { c.mapping.latent = 0; }), "");
  EXPECT_NE(message([](DdganConfig& c) { c.unet.class_embed_type = {}; }), "");
  EXPECT_NE(message([](DdganConfig& c) { c.discriminator_channels = {}; }), "");
  EXPECT_NE(message([](DdganConfig& c) { c.discriminator_channels = {3}; }), "");
}

}  // namespace
}  // namespace ito
