// The registry of networks, and what a Network says of itself.
#include "nn/network.h"

#include <gtest/gtest.h>

#include <set>

#include "graph/interpret.h"
#include "nn/autoencoder_kl.h"
#include "nn/classifier.h"
#include "nn/networks.h"
#include "nn/unet2d.h"
#include "nn/unet2d_condition.h"
#include "tests/nn/pack_parameters.h"

namespace ito {
namespace {

UNet2DConfig tiny_unet() {
  UNet2DConfig config;
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {8};
  config.down_block_types = {"DownBlock2D"};
  config.up_block_types = {"UpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.add_attention = false;
  return config;
}

UNet2DConditionConfig tiny_condition() {
  UNet2DConditionConfig config;
  config.block_out_channels = {8, 16};
  config.down_block_types = {"CrossAttnDownBlock2D", "DownBlock2D"};
  config.up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D"};
  config.layers_per_block = {1};
  config.norm_num_groups = 4;
  config.cross_attention_dim = {6};
  config.attention_head_dim = {2};
  return config;
}

TEST(NetworkRows, NamesAreUniqueAndExplained) {
  std::set<std::string_view> names;
  for (const NetworkRow& row : network_rows()) {
    EXPECT_TRUE(names.insert(row.name.name).second) << row.name.name;
    EXPECT_FALSE(row.name.help.empty()) << row.name.name;
    EXPECT_FALSE(row.name.source.empty()) << row.name.name;
    EXPECT_NE(row.make, nullptr) << row.name.name;
  }
  const Network network = make_network(kUNet2D, tiny_unet()).value();
  EXPECT_EQ(network.row(), kUNet2D);
  EXPECT_EQ(*network.config_as<UNet2DConfig>(), tiny_unet());
  EXPECT_EQ(network.config_as<ClassifierConfig>(), nullptr);
}

TEST(NetworkSignature, SaysHowAUNetIsToldItsClass) {
  using Kind = ClassInput::Kind;
  UNet2DConfig config = tiny_unet();
  EXPECT_EQ(unet2d_network(config)->signature().classes.kind, Kind::kNone);
  config.num_class_embeds = 7;
  EXPECT_EQ(unet2d_network(config)->signature().classes.classes(), 7);
  config.class_embed_type = "timestep";
  EXPECT_EQ(unet2d_network(config)->signature().classes.kind, Kind::kValues);
  EXPECT_EQ(unet2d_network(config)->signature().classes.classes(), 0);
  config.class_embed_type = "identity";
  EXPECT_EQ(unet2d_network(config)->signature().classes.kind, Kind::kEmbeddings);
  EXPECT_EQ(unet2d_network(config)->signature().classes.count, 32);
  config.time_embedding_type = "fourier";
  EXPECT_EQ(unet2d_network(config)->signature().time, TimeInput::kSigma);
}

TEST(NetworkSignature, InputsAreWhatItAsksFor) {
  UNet2DConditionConfig config = tiny_condition();
  config.num_class_embeds = 3;
  config.time_cond_proj_dim = 4;
  const Network network = unet2d_condition_network(config).value().with_context(5);
  Graph graph;
  const Conditioning given = conditioning_inputs(graph, network.signature(), 2);
  EXPECT_EQ(given.classes.shape(), Shape{2});
  EXPECT_EQ(given.context.shape(), (Shape{2, 5, 6}));
  EXPECT_EQ(given.guidance.shape(), (Shape{2, 4}));
  EXPECT_FALSE(given.latent);
  const Tensor flat = input(graph, "params", {network.set().size()});
  const Tensor x = input(graph, "x", {2, 8, 6, 4}), t = input(graph, "t", {2});
  EXPECT_EQ(network.build(flat, x, t, given).shape(), (Shape{2, 8, 6, 4}));
  EXPECT_DEATH(network.build(flat, x, t, {}), "class");
}

// A network among other weights computes what it computes alone.
TEST(Network, LiesAmongOtherParametersUnchanged) {
  const Network alone = unet2d_network(tiny_unet()).value();
  const Network among = alone.among(declare_parameters([&](Graph& graph, const Scope& scope) {
    scope.parameter("before", {.foreign_shape = Shape{33}});
    const Tensor x = input(graph, "x", {1, 4, 4, 1}), t = input(graph, "t", {1});
    unet2d(scope, tiny_unet(), x, t);
  }));
  EXPECT_GT(among.set().size(), alone.set().size());
  EXPECT_EQ(among.own_parameters().find("before"), nullptr);
  const std::vector<float> weights = initial_parameters(alone.set(), 3);
  ForeignTensors tensors = unpack_parameters(alone.set(), weights);
  tensors["before"] = {.shape = Shape{33}, .data = std::vector<float>(33, 7.0f)};
  const std::vector<float> larger = pack_parameters(among.set(), tensors).value();
  const auto run = [](const Network& network, const std::vector<float>& flat) {
    Graph graph;
    const Tensor out = network.build(input(graph, "params", {network.set().size()}),
                                     input(graph, "x", {1, 4, 4, 1}), input(graph, "t", {1}));
    std::vector<double> x;
    for (int i = 0; i < 16; ++i) x.push_back(0.1 * i - 0.7);
    return interpret({out}, {{"params", {{network.set().size()}, {flat.begin(), flat.end()}}},
                             {"x", {{1, 4, 4, 1}, x}},
                             {"t", {{1}, {5}}}})
        .value()[0]
        .data;
  };
  EXPECT_EQ(run(alone, weights), run(among, larger));
}

// The parameter counts of published checkpoints.
TEST(LatentNetworks, CountsOfStableDiffusion) {
  UNet2DConditionConfig sd1;
  sd1.cross_attention_dim = {768};
  EXPECT_EQ(unet2d_condition_network(sd1)->set().count(), 859'520'964);
  UNet2DConditionConfig inpainting = sd1;
  inpainting.in_channels = 9;
  EXPECT_EQ(unet2d_condition_network(inpainting)->set().count(), 859'520'964 + 5 * 320 * 9);
  UNet2DConditionConfig sd2;
  sd2.cross_attention_dim = {1024};
  sd2.attention_head_dim = {5, 10, 20, 20};
  sd2.use_linear_projection = true;
  EXPECT_EQ(unet2d_condition_network(sd2)->set().count(), 865'910'724);
  AutoencoderKLConfig vae;
  vae.block_out_channels = {128, 256, 512, 512};
  vae.down_block_types.assign(4, "DownEncoderBlock2D");
  vae.up_block_types.assign(4, "UpDecoderBlock2D");
  vae.layers_per_block = 2;
  EXPECT_EQ(autoencoder_kl_network(vae)->set().count(), 83'653'863);
}

TEST(LatentNetworks, HaveDiffusersNamesAndShapes) {
  const Network network = unet2d_condition_network(tiny_condition()).value();
  const auto shape = [&](const std::string& name) {
    const Parameter* parameter = network.set().find(name);
    return parameter == nullptr ? Shape{} : parameter->spec.foreign_shape;
  };
  const std::string block = "down_blocks.0.attentions.0.";
  EXPECT_EQ(shape(block + "proj_in.weight"), (Shape{8, 8, 1, 1}));
  EXPECT_EQ(shape(block + "transformer_blocks.0.attn1.to_k.weight"), (Shape{8, 8}));
  EXPECT_EQ(shape(block + "transformer_blocks.0.attn2.to_k.weight"), (Shape{8, 6}));
  EXPECT_EQ(shape(block + "transformer_blocks.0.ff.net.0.proj.weight"), (Shape{64, 8}));
  EXPECT_EQ(network.set().find(block + "transformer_blocks.0.attn1.to_q.bias"), nullptr);
  EXPECT_EQ(shape("mid_block.attentions.0.norm.weight"), (Shape{16}));
  UNet2DConditionConfig linear = tiny_condition();
  linear.use_linear_projection = true;
  EXPECT_EQ(
      unet2d_condition_network(linear)->set().find(block + "proj_out.weight")->spec.foreign_shape,
      (Shape{8, 8}));
}

TEST(LatentNetworks, RefuseWhatTheyAreNot) {
  const auto message = [](auto change) {
    UNet2DConditionConfig config = tiny_condition();
    change(config);
    const auto network = unet2d_condition_network(config);
    return network.ok() ? std::string() : network.error().message;
  };
  const auto names = [&](auto change, const char* field, const char* found) {
    const std::string text = message(change);
    EXPECT_NE(text.find(field), std::string::npos) << text;
    EXPECT_NE(text.find(found), std::string::npos) << text;
  };
  EXPECT_EQ(message([](auto&) {}), "");
  names([](auto& c) { c.attention_head_dim = {3}; }, "attention_head_dim", "3");
  names([](auto& c) { c.attention_head_dim = {2, 2, 2}; }, "attention_head_dim", "3");
  names([](auto& c) { c.down_block_types[0] = "SimpleCrossAttnDownBlock2D"; }, "down_block_types",
        "Simple");
  names([](auto& c) { c.norm_num_groups = 5; }, "norm_num_groups", "8");
  names([](auto& c) { c.conv_in_kernel = 4; }, "conv_in_kernel", "4");
  AutoencoderKLConfig vae;
  vae.down_block_types = {"AttnDownEncoderBlock2D"};
  EXPECT_FALSE(autoencoder_kl_network(vae).ok());
  const Network network = autoencoder_kl_network({}).value();
  EXPECT_TRUE(network.check_size(8, 3).ok());
}

}  // namespace
}  // namespace ito
