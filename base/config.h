// The two configurations that networks, diffusion and files share: plain structs, no parsing.
// Field names, meanings and defaults are those of diffusers 0.40, so a reader of a diffusers
// config.json knows them already. Reading and writing JSON lives in io/diffusers.h; the meaning of
// a value is checked there once, so that nn and diffusion may CHECK it.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/scheduler_config.h"

namespace ito {

// UNet2DModel. An empty optional is JSON null.
struct UNet2DConfig {
  // Height and width of the samples the model was trained on; the network is convolutional, so
  // other sizes run too. config.json may hold one number for both.
  std::optional<std::array<int, 2>> sample_size;
  int in_channels = 3;
  int out_channels = 3;
  bool center_input_sample = false;  // feed 2x - 1
  // "positional", "fourier", "learned"; and, not in diffusers, "none" (nn/unet2d.h)
  std::string time_embedding_type = "positional";
  std::optional<int> time_embedding_dim;  // default 4 * block_out_channels[0]
  float freq_shift = 0;
  bool flip_sin_to_cos = true;
  // {Down,ResnetDownsample,AttnDown,SkipDown,AttnSkipDown}Block2D (ResnetDownsampleBlock2D is one
  // word), outermost first; the up blocks likewise, innermost first.
  std::vector<std::string> down_block_types = {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D",
                                               "AttnDownBlock2D"};
  std::optional<std::string> mid_block_type = "UNetMidBlock2D";  // null: no middle block
  std::vector<std::string> up_block_types = {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D",
                                             "UpBlock2D"};
  std::vector<int> block_out_channels = {224, 448, 672, 896};
  int layers_per_block = 2;
  double mid_block_scale_factor = 1;
  int downsample_padding = 1;
  std::string downsample_type = "conv";  // "conv" or "resnet", for the attention blocks
  std::string upsample_type = "conv";
  double dropout = 0.0;
  std::string act_fn = "silu";                // "silu", "swish" (the same), "mish", "gelu", "relu"
  std::optional<int> attention_head_dim = 8;  // null: one head as wide as the block
  std::optional<int> norm_num_groups = 32;    // null only for NCSN++ blocks: min(channels/4, 32)
  std::optional<int> attn_norm_num_groups;    // group norm of the middle attention
  double norm_eps = 1e-5;
  std::string resnet_time_scale_shift = "default";  // "default" adds, "scale_shift" modulates
  bool add_attention = true;                        // attention in the middle block
  std::optional<std::string> class_embed_type;      // null, "timestep" or "identity"
  std::optional<int> num_class_embeds;     // rows of the class table, when class_embed_type is null
  std::optional<int> num_train_timesteps;  // rows of the "learned" time table
  // Not in diffusers, and only for networks that are told sigma: c_in before the network, c_skip
  // and c_out behind it (Karras et al. 2022, table 1), so that the score is (D - x)/sigma².
  std::optional<double> sigma_data;
  // Not in diffusers: the network is an energy of this form (nn/energy.h), its output -∇ of it.
  std::optional<std::string> energy;

  // Keys this struct does not know (and _diffusers_version): key → JSON text, written back as read.
  std::map<std::string, std::string> extra;

  bool operator==(const UNet2DConfig&) const = default;
};

}  // namespace ito
