// Configurations of the networks of latent diffusion: the cross-attention U-Net and the
// autoencoder, plain structs, and the checks of their values. Field names, meanings and defaults
// are those of diffusers 0.40. Not the networks (nn/unet2d_condition.h, nn/autoencoder_kl.h) and
// not their JSON form (io).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ito {

// One number for all levels, or one each; outermost first.
using PerLevel = std::vector<int>;
inline int at_level(const PerLevel& values, size_t level) {
  return values.size() == 1 ? values[0] : values[level];
}

// UNet2DConditionModel, as Stable Diffusion 1 and 2, their inpainting forms and latent consistency
// models use it. An empty optional is JSON null.
struct UNet2DConditionConfig {
  std::optional<std::array<int, 2>> sample_size;
  int in_channels = 4;
  int out_channels = 4;
  bool center_input_sample = false;  // feed 2x - 1
  bool flip_sin_to_cos = true;
  int freq_shift = 0;
  // {,CrossAttn}DownBlock2D, outermost first; the up blocks likewise, innermost first.
  std::vector<std::string> down_block_types = {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                                               "CrossAttnDownBlock2D", "DownBlock2D"};
  std::optional<std::string> mid_block_type = "UNetMidBlock2DCrossAttn";  // null: none
  std::vector<std::string> up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D",
                                             "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"};
  std::vector<int> block_out_channels = {320, 640, 1280, 1280};
  PerLevel layers_per_block = {2};
  int downsample_padding = 1;
  double mid_block_scale_factor = 1;
  double dropout = 0;
  std::string act_fn = "silu";
  int norm_num_groups = 32;
  double norm_eps = 1e-5;
  PerLevel cross_attention_dim = {1280};        // features of the context's states
  PerLevel transformer_layers_per_block = {1};  // per attention
  PerLevel attention_head_dim = {8};            // the number of heads, whatever its name says
  bool use_linear_projection = false;           // into and out of the transformers; else 1x1
  std::optional<int> num_class_embeds;          // rows of the class table
  // Attention in fp32 in half-precision runs: here it always is.
  bool upcast_attention = false;
  std::string resnet_time_scale_shift = "default";  // "default" adds, "scale_shift" modulates
  std::optional<int> time_embedding_dim;            // default 4 * block_out_channels[0]
  std::optional<int> time_cond_proj_dim;            // features of the embedded guidance scale
  int conv_in_kernel = 3;
  int conv_out_kernel = 3;

  // Keys this struct does not know (and _diffusers_version): key → JSON text, written back as read.
  std::map<std::string, std::string> extra;

  bool operator==(const UNet2DConditionConfig&) const = default;
};

// Whether it describes a network; the error names the field, expected and found.
Status check_unet2d_condition(const UNet2DConditionConfig& config);
// Whether the named block attends to the context.
bool has_cross_attention(const std::string& block);

// AutoencoderKL: images to a diagonal Gaussian over latents and back (Rombach et al. 2022).
struct AutoencoderKLConfig {
  int in_channels = 3;
  int out_channels = 3;
  std::vector<std::string> down_block_types = {"DownEncoderBlock2D"};
  std::vector<std::string> up_block_types = {"UpDecoderBlock2D"};
  std::vector<int> block_out_channels = {64};
  int layers_per_block = 1;
  std::string act_fn = "silu";
  int latent_channels = 4;
  int norm_num_groups = 32;
  // Side of the images it was trained on, and of the tiles in which larger ones are decoded.
  std::optional<std::array<int, 2>> sample_size = std::array<int, 2>{32, 32};
  // The diffusion works on (latent - shift_factor) * scaling_factor.
  double scaling_factor = 0.18215;
  std::optional<double> shift_factor;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  std::map<std::string, std::string> extra;

  bool operator==(const AutoencoderKLConfig&) const = default;
};

Status check_autoencoder_kl(const AutoencoderKLConfig& config);

// How many pixels one latent stands for along each side.
inline int64_t latent_factor(const AutoencoderKLConfig& config) {
  return int64_t{1} << (config.block_out_channels.size() - 1);
}

}  // namespace ito
