// Cross-attention U-Nets, autoencoders and their pipelines as diffusers' files.
#include "base/latent_config.h"

#include <gtest/gtest.h>

#include "io/diffusers.h"
#include "io/network_configs.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::succeeds;
using test::TempFolder;

Json json_of(std::string_view text) { return *parse_json(text, "test"); }

// Stable Diffusion 2's, as its file is written, with a key nobody knows.
constexpr const char* kCondition = R"({"_class_name": "UNet2DConditionModel",
  "_diffusers_version": "0.10.0.dev0", "act_fn": "silu", "attention_head_dim": [5, 10, 20, 20],
  "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false,
  "cross_attention_dim": 1024, "down_block_types": ["CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"], "downsample_padding": 1,
  "dual_cross_attention": false, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4,
  "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32,
  "out_channels": 4, "sample_size": 64, "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D",
  "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], "use_linear_projection": true,
  "a_key_of_tomorrow": {"kept": [1, null]}})";

constexpr const char* kAutoencoder = R"({"_class_name": "AutoencoderKL",
  "_diffusers_version": "0.6.0", "act_fn": "silu", "block_out_channels": [8, 16],
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"], "in_channels": 3,
  "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4, "out_channels": 3,
  "sample_size": 16, "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  "force_upcast": true, "latents_mean": null})";

TEST(LatentConfig, ConditionKeysAreReadAndWrittenBack) {
  const Json json = json_of(kCondition);
  const auto config = parse_unet_condition_config(json, "c").value();
  EXPECT_EQ(config.attention_head_dim, (PerLevel{5, 10, 20, 20}));
  EXPECT_EQ(config.layers_per_block, PerLevel{2});
  EXPECT_TRUE(config.use_linear_projection);
  EXPECT_EQ(config.mid_block_type, "UNetMidBlock2DCrossAttn");  // the default
  const Json written = network_config_json("unet2d_condition", config);
  for (const auto& [key, value] : json.items()) EXPECT_EQ(written[key], value) << key;
  EXPECT_EQ(parse_unet_condition_config(written, "c").value(), config);
}

TEST(LatentConfig, AutoencoderKeysAreReadAndWrittenBack) {
  const Json json = json_of(kAutoencoder);
  const auto config = parse_autoencoder_config(json, "c").value();
  EXPECT_EQ(config.scaling_factor, 0.18215);  // the default of files that do not say it
  EXPECT_TRUE(config.use_quant_conv);
  EXPECT_EQ(latent_factor(config), 2);
  const Json written = network_config_json("autoencoder_kl", config);
  for (const auto& [key, value] : json.items()) EXPECT_EQ(written[key], value) << key;
  EXPECT_EQ(parse_autoencoder_config(written, "c").value(), config);
}

TEST(LatentConfig, WhatIsNotImplementedIsRefusedByKey) {
  const auto refuses = [](const char* key, const char* value) {
    Json json = json_of(kCondition);
    json[key] = json_of(value);
    EXPECT_TRUE(fails(parse_unet_condition_config(json, "c"), ErrorKind::kUnsupported, "c: ", key))
        << key;
  };
  refuses("encoder_hid_dim", "32");
  refuses("addition_embed_type", R"("text_time")");
  refuses("dual_cross_attention", "true");
  refuses("only_cross_attention", "[true, true, true, false]");
  refuses("num_attention_heads", "8");
  refuses("class_embed_type", R"("projection")");
  refuses("time_embedding_type", R"("fourier")");
  refuses("mid_block_type", R"("UNetMidBlock2DSimpleCrossAttn")");
  refuses("cross_attention_dim", "[768, 768, 768, 1024]");
  Json same = json_of(kCondition);
  same["only_cross_attention"] = nullptr;  // as false
  EXPECT_TRUE(succeeds(parse_unet_condition_config(same, "c")));
  Json vae = json_of(kAutoencoder);
  vae["latents_mean"] = {0.1, 0.2};
  EXPECT_TRUE(fails(parse_autoencoder_config(vae, "c"), ErrorKind::kUnsupported, "latents_mean"));
}

TEST(Diffusers, PipelinesOnLatentsRoundTrip) {
  TempFolder folder;
  DiffusersModel model;
  model.denoiser.network = "unet2d_condition";
  model.denoiser.config = parse_unet_condition_config(json_of(kCondition), "c").value();
  model.denoiser.weights.tensors["conv_in.bias"] = tensor_from_floats({1}, {1.5f});
  model.vae.emplace();
  model.vae->network = "autoencoder_kl";
  model.vae->config = parse_autoencoder_config(json_of(kAutoencoder), "c").value();
  model.vae->weights.tensors["quant_conv.bias"] = tensor_from_floats({1}, {-2.0f});
  model.scheduler = SchedulerConfig{};
  // A text encoder that is not there afterwards is named as absent.
  model.index = json_of(R"({"_class_name": "StableDiffusionInpaintPipeline",
    "text_encoder": ["transformers", "CLIPTextModel"], "requires_safety_checker": true})");
  ASSERT_TRUE(succeeds(write_diffusers(folder / "out", model)));
  EXPECT_EQ(*read_json(folder / "out" / "model_index.json"), json_of(R"({
    "_class_name": "StableDiffusionInpaintPipeline", "_diffusers_version": "0.40.0",
    "requires_safety_checker": true, "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": [null, null], "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"]})"));
  const DiffusersModel read = read_diffusers(folder / "out").value();
  EXPECT_EQ(read.denoiser.network, "unet2d_condition");
  ASSERT_TRUE(read.vae.has_value());
  EXPECT_EQ(read.vae->weights.tensors, model.vae->weights.tensors);
  EXPECT_EQ(std::any_cast<AutoencoderKLConfig>(read.vae->config),
            std::any_cast<AutoencoderKLConfig>(model.vae->config));
}

}  // namespace
}  // namespace ito
