// A latent diffusion pipeline of the least size with initial weights, for tests of what sessions do
// with latents and contexts.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "api/model.h"
#include "nn/autoencoder_kl.h"
#include "nn/parameters.h"
#include "nn/unet2d_condition.h"

namespace ito::test {

struct TinyPipeline {
  int in_channels = 4;               // 9: a network that fills in
  std::optional<int> guidance = {};  // features of an embedded guidance scale
  double shift_factor = 0;           // of the autoencoder's latents
};

// A U-Net on 4x4x4 latents with a context of 6 numbers per state, and its autoencoder of pictures
// of 8x8.
inline Model tiny_pipeline(const TinyPipeline& options = {}) {
  UNet2DConditionConfig unet;
  unet.sample_size = std::array<int, 2>{4, 4};
  unet.in_channels = options.in_channels;
  unet.block_out_channels = {8};
  unet.down_block_types = {"CrossAttnDownBlock2D"};
  unet.up_block_types = {"CrossAttnUpBlock2D"};
  unet.layers_per_block = {1};
  unet.norm_num_groups = 4;
  unet.cross_attention_dim = {6};
  unet.attention_head_dim = {2};
  unet.time_cond_proj_dim = options.guidance;
  AutoencoderKLConfig vae;
  vae.block_out_channels = {4, 8};
  vae.down_block_types.assign(2, "DownEncoderBlock2D");
  vae.up_block_types.assign(2, "UpDecoderBlock2D");
  vae.norm_num_groups = 4;
  vae.sample_size = std::array<int, 2>{8, 8};
  if (options.shift_factor != 0) vae.shift_factor = options.shift_factor;
  Model model;
  model.network = unet2d_condition_network(unet).value();
  model.weights = initial_parameters(model.network.set(), 1);
  model.scheduler.clip_sample = false;
  model.decoder.emplace();
  model.decoder->network = autoencoder_kl_network(vae).value();
  model.decoder->weights = initial_parameters(model.decoder->network.set(), 2);
  return model;
}

// sin(step), sin(2 step), ...: numbers without a pattern that could hide a mistake.
inline std::vector<float> waves(int64_t count, float step) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(std::sin(step * static_cast<float>(i + 1)));
  return values;
}

}  // namespace ito::test
