// Which parameters a configuration has, and which configurations are refused.
#include <gtest/gtest.h>

#include "nn/unet2d.h"

namespace ito {
namespace {

UNet2DConfig ddpm(std::vector<int> channels, int attention_down, int attention_up) {
  UNet2DConfig config;
  const size_t levels = channels.size();
  config.block_out_channels = std::move(channels);
  config.down_block_types.assign(levels, "DownBlock2D");
  config.up_block_types.assign(levels, "UpBlock2D");
  config.down_block_types[static_cast<size_t>(attention_down)] = "AttnDownBlock2D";
  config.up_block_types[static_cast<size_t>(attention_up)] = "AttnUpBlock2D";
  config.downsample_padding = 0;
  config.flip_sin_to_cos = false;
  config.freq_shift = 1;
  config.norm_eps = 1e-6;
  config.attention_head_dim.reset();
  return config;
}

UNet2DConfig recipe_q() {
  UNet2DConfig config = ddpm({16, 32, 64}, 2, 0);
  config.in_channels = config.out_channels = 1;
  config.layers_per_block = 1;
  config.norm_num_groups = 8;
  config.num_class_embeds = 10;
  return config;
}

UNet2DConfig ncsnpp() {
  UNet2DConfig config;
  config.block_out_channels = {128, 128, 256, 256, 256, 256, 256};
  config.down_block_types.assign(7, "SkipDownBlock2D");
  config.down_block_types[4] = "AttnSkipDownBlock2D";
  config.up_block_types.assign(7, "SkipUpBlock2D");
  config.up_block_types[2] = "AttnSkipUpBlock2D";
  config.time_embedding_type = "fourier";
  config.norm_num_groups.reset();
  config.attention_head_dim.reset();
  return config;
}

void expect_size(const UNet2DConfig& config, size_t tensors, int64_t parameters) {
  const auto set = unet2d_parameters(config);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->parameters().size(), tensors);
  EXPECT_EQ(set->count(), parameters);
}

// The counts of published checkpoints.
TEST(UNet2DParameters, CountOfDdpmCifar10) {
  expect_size(ddpm({128, 256, 256, 256}, 1, 2), 328, 35746307);
}
TEST(UNet2DParameters, CountOfDdpm256) {
  expect_size(ddpm({128, 128, 256, 256, 512, 512}, 4, 1), 450, 113673219);
}
TEST(UNet2DParameters, CountOfNcsnpp256) { expect_size(ncsnpp(), 645, 65574549); }
TEST(UNet2DParameters, CountOfFashionMnistNetwork) {
  expect_size(recipe_q(), unet2d_parameters(recipe_q())->parameters().size(), 687409);
}

void expect_shape(const ParameterSet& set, const char* name, const Shape& foreign) {
  const Parameter* parameter = set.find(name);
  ASSERT_NE(parameter, nullptr) << name;
  EXPECT_EQ(parameter->spec.foreign_shape, foreign) << name;
}

TEST(UNet2DParameters, HaveDiffusersNamesAndShapes) {
  const auto set = unet2d_parameters(recipe_q());
  ASSERT_TRUE(set.ok());
  expect_shape(*set, "conv_in.weight", Shape{16, 1, 3, 3});
  expect_shape(*set, "time_embedding.linear_1.weight", Shape{64, 16});
  expect_shape(*set, "time_embedding.linear_2.bias", Shape{64});
  expect_shape(*set, "class_embedding.weight", Shape{10, 64});
  expect_shape(*set, "down_blocks.0.downsamplers.0.conv.weight", Shape{16, 16, 3, 3});
  expect_shape(*set, "down_blocks.1.resnets.0.conv_shortcut.weight", Shape{32, 16, 1, 1});
  expect_shape(*set, "down_blocks.2.attentions.0.to_out.0.weight", Shape{64, 64});
  expect_shape(*set, "mid_block.attentions.0.group_norm.bias", Shape{64});
  expect_shape(*set, "mid_block.resnets.1.time_emb_proj.weight", Shape{64, 64});
  expect_shape(*set, "up_blocks.0.resnets.1.conv1.weight", Shape{64, 96, 3, 3});
  expect_shape(*set, "up_blocks.0.upsamplers.0.conv.bias", Shape{64});
  expect_shape(*set, "up_blocks.2.resnets.1.norm1.weight", Shape{32});
  expect_shape(*set, "conv_norm_out.weight", Shape{16});
  expect_shape(*set, "conv_out.weight", Shape{1, 16, 3, 3});
  EXPECT_EQ(set->find("down_blocks.2.downsamplers.0.conv.weight"), nullptr);
  EXPECT_EQ(set->find("conv_in.weight")->shape, (Shape{3, 3, 1, 16}));
}

TEST(UNet2DParameters, ResnetSamplersAndScaleShift) {
  UNet2DConfig config = recipe_q();
  config.resnet_time_scale_shift = "scale_shift";
  config.down_block_types = {"ResnetDownsampleBlock2D", "AttnDownBlock2D", "DownBlock2D"};
  config.up_block_types = {"UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"};
  config.downsample_type = config.upsample_type = "resnet";
  const auto set = unet2d_parameters(config);
  ASSERT_TRUE(set.ok()) << set.error().message;
  expect_shape(*set, "down_blocks.0.downsamplers.0.conv2.weight", Shape{16, 16, 3, 3});
  expect_shape(*set, "down_blocks.1.downsamplers.0.time_emb_proj.weight", Shape{64, 64});
  expect_shape(*set, "up_blocks.0.upsamplers.0.conv.weight", Shape{64, 64, 3, 3});
  expect_shape(*set, "up_blocks.1.upsamplers.0.norm1.weight", Shape{32});
  // No norm in the middle attention of scale_shift networks unless it is asked for.
  EXPECT_EQ(set->find("mid_block.attentions.0.group_norm.weight"), nullptr);
  config.attn_norm_num_groups = 8;
  EXPECT_NE(unet2d_parameters(config)->find("mid_block.attentions.0.group_norm.weight"), nullptr);
}

TEST(UNet2DParameters, FourierFrequenciesAreFrozen) {
  const auto set = unet2d_parameters(ncsnpp());
  ASSERT_TRUE(set.ok());
  const Parameter* weight = set->find("time_proj.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_FALSE(weight->spec.trainable);
  EXPECT_EQ(weight->offset, set->trainable_size());
}

TEST(UNet2DParameters, TimestepClassesShareTheTimeFeatures) {
  UNet2DConfig config = recipe_q();
  config.num_class_embeds.reset();
  config.class_embed_type = "timestep";
  config.time_embedding_type = "learned";
  config.num_train_timesteps = 50;
  const auto set = unet2d_parameters(config);
  ASSERT_TRUE(set.ok()) << set.error().message;
  expect_shape(*set, "time_proj.weight", Shape{50, 16});
  expect_shape(*set, "class_embedding.linear_2.weight", Shape{64, 64});
}

TEST(UNet2DParameters, MiddleBlockAndItsAttentionAreOptional) {
  UNet2DConfig config = recipe_q();
  config.add_attention = false;
  EXPECT_EQ(unet2d_parameters(config)->find("mid_block.attentions.0.to_q.weight"), nullptr);
  config.mid_block_type.reset();
  EXPECT_EQ(unet2d_parameters(config)->find("mid_block.resnets.0.conv1.weight"), nullptr);
}

struct BadConfig {
  const char* name;
  void (*spoil)(UNet2DConfig&);
  const char* field;  // what the message must name
  const char* found;
};

class RefusedConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(RefusedConfig, ErrorNamesFieldAndValue) {
  UNet2DConfig config = recipe_q();
  GetParam().spoil(config);
  const auto set = unet2d_parameters(config);
  ASSERT_FALSE(set.ok());
  EXPECT_NE(set.error().message.find(GetParam().field), std::string::npos) << set.error().message;
  EXPECT_NE(set.error().message.find(GetParam().found), std::string::npos) << set.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    UNet2D, RefusedConfig,
    testing::Values(
        BadConfig{"Down", [](UNet2DConfig& c) { c.down_block_types[1] = "CrossAttnDownBlock2D"; },
                  "down_block_types", "CrossAttnDownBlock2D"},
        BadConfig{"Up", [](UNet2DConfig& c) { c.up_block_types[0] = "DownBlock2D"; },
                  "up_block_types", "DownBlock2D"},
        BadConfig{"Mid", [](UNet2DConfig& c) { c.mid_block_type = "UNetMidBlock2DCrossAttn"; },
                  "mid_block_type", "UNetMidBlock2DCrossAttn"},
        BadConfig{"Levels", [](UNet2DConfig& c) { c.up_block_types.pop_back(); }, "up_block_types",
                  "2"},
        BadConfig{"NoLevels", [](UNet2DConfig& c) { c.block_out_channels.clear(); },
                  "block_out_channels", "none"},
        BadConfig{"Groups", [](UNet2DConfig& c) { c.norm_num_groups = 5; }, "norm_num_groups",
                  "16"},
        BadConfig{"NullGroups", [](UNet2DConfig& c) { c.norm_num_groups.reset(); },
                  "norm_num_groups", "null"},
        BadConfig{"Activation", [](UNet2DConfig& c) { c.act_fn = "elu"; }, "act_fn", "elu"},
        BadConfig{"Time", [](UNet2DConfig& c) { c.time_embedding_type = "rotary"; },
                  "time_embedding_type", "rotary"},
        BadConfig{"LearnedTime", [](UNet2DConfig& c) { c.time_embedding_type = "learned"; },
                  "num_train_timesteps", "null"},
        BadConfig{"HeadDim", [](UNet2DConfig& c) { c.attention_head_dim = 65; },
                  "attention_head_dim", "65"},
        BadConfig{"NegativeHeadDim", [](UNet2DConfig& c) { c.attention_head_dim = 0; },
                  "attention_head_dim", "0"},
        BadConfig{"Layers", [](UNet2DConfig& c) { c.layers_per_block = -1; }, "layers_per_block",
                  "-1"},
        BadConfig{"Channels", [](UNet2DConfig& c) { c.block_out_channels[2] = 0; },
                  "block_out_channels", "0"},
        BadConfig{"ClassEmbed", [](UNet2DConfig& c) { c.class_embed_type = "projection"; },
                  "class_embed_type", "projection"},
        BadConfig{"ScaleShift", [](UNet2DConfig& c) { c.resnet_time_scale_shift = "ada_group"; },
                  "resnet_time_scale_shift", "ada_group"},
        BadConfig{"SkipMixture", [](UNet2DConfig& c) { c.up_block_types[0] = "SkipUpBlock2D"; },
                  "up_block_types", "1 of 3"},
        BadConfig{"SigmaDataWithoutSigma", [](UNet2DConfig& c) { c.sigma_data = 0.5; },
                  "sigma_data", "positional"},
        BadConfig{"NegativeSigmaData",
                  [](UNet2DConfig& c) {
                    c.time_embedding_type = "fourier";
                    c.sigma_data = -1;
                  },
                  "sigma_data", "-1"},
        BadConfig{"ScaleShiftByNothing",
                  [](UNet2DConfig& c) {
                    c.time_embedding_type = "none";
                    c.num_class_embeds.reset();
                    c.resnet_time_scale_shift = "scale_shift";
                  },
                  "resnet_time_scale_shift", "scale_shift"}),
    [](const auto& info) { return info.param.name; });

TEST(UNet2DSize, NamesTheSideThatIsTooSmall) {
  UNet2DConfig config = recipe_q();
  EXPECT_TRUE(check_unet2d_size(config, 32, 32).ok());
  EXPECT_TRUE(check_unet2d_size(config, 7, 13).ok());
  const Status narrow = check_unet2d_size(config, 32, 2);
  ASSERT_FALSE(narrow.ok());
  EXPECT_NE(narrow.error().message.find("width"), std::string::npos);
  EXPECT_FALSE(check_unet2d_size(config, -4, 32).ok());
  config = ncsnpp();
  EXPECT_TRUE(check_unet2d_size(config, 64, 128).ok());
  EXPECT_FALSE(check_unet2d_size(config, 96, 128).ok());
}

}  // namespace
}  // namespace ito
