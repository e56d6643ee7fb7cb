#include "base/latent_config.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/unet2d_config.h"

namespace ito {
namespace {

constexpr std::string_view kCrossDown = "CrossAttnDownBlock2D", kCrossUp = "CrossAttnUpBlock2D";
constexpr std::string_view kConditionDownBlocks[] = {kCrossDown, "DownBlock2D"};
constexpr std::string_view kConditionUpBlocks[] = {kCrossUp, "UpBlock2D"};
constexpr std::string_view kConditionMiddleBlocks[] = {"UNetMidBlock2DCrossAttn"};
constexpr std::string_view kConditionTimeScaleShifts[] = {"default", "scale_shift"};
constexpr std::string_view kEncoderBlocks[] = {"DownEncoderBlock2D"};
constexpr std::string_view kDecoderBlocks[] = {"UpDecoderBlock2D"};

Status check_names(std::string_view field, const std::vector<std::string>& names,
                   std::span<const std::string_view> known) {
  for (const std::string& name : names) ITO_TRY(check_one_of(field, name, known));
  return {};
}

Status check_levels(const std::vector<int>& channels, const std::vector<std::string>& down,
                    const std::vector<std::string>& up) {
  const size_t levels = channels.size();
  if (levels == 0)
    return invalid_argument("block_out_channels: expected at least one entry, found none");
  if (levels > static_cast<size_t>(config_limits::kLevels))
    return unsupported("block_out_channels: expected at most {} entries, found {}",
                       config_limits::kLevels, levels);
  if (down.size() != levels || up.size() != levels)
    return invalid_argument(
        "down_block_types, up_block_types: expected {} entries each, as in block_out_channels, "
        "found {} and {}",
        levels, down.size(), up.size());
  for (const int c : channels)
    ITO_TRY(check_count("block_out_channels", c, config_limits::kChannels));
  return {};
}

Status check_per_level(std::string_view field, const PerLevel& values, size_t levels,
                       int64_t most) {
  if (values.size() != 1 && values.size() != levels)
    return invalid_argument("{}: expected a number or {} of them, found {}", field, levels,
                            values.size());
  for (const int value : values) ITO_TRY(check_count(field, value, most));
  return {};
}

Status check_kernel(std::string_view field, int kernel) {
  if (kernel > 0 && kernel % 2 == 1 && kernel <= 31) return {};
  return invalid_argument("{}: expected an odd number from 1 to 31, found {}", field, kernel);
}

Status check_norm(const std::vector<int>& channels, int groups) {
  ITO_TRY(check_positive("norm_num_groups", groups));
  for (const int c : channels)
    ITO_TRY(check_groups("block_out_channels (norm_num_groups)", c, groups));
  return {};
}

Status check_size(const std::optional<std::array<int, 2>>& size) {
  if (!size) return {};
  for (const int side : *size) ITO_TRY(check_count("sample_size", side, config_limits::kChannels));
  return {};
}

}  // namespace

bool has_cross_attention(const std::string& block) {
  return block == kCrossDown || block == kCrossUp;
}

Status check_unet2d_condition(const UNet2DConditionConfig& c) {
  const std::vector<int>& channels = c.block_out_channels;
  const size_t levels = channels.size();
  ITO_TRY(check_levels(channels, c.down_block_types, c.up_block_types));
  ITO_TRY(check_names("down_block_types", c.down_block_types, kConditionDownBlocks));
  ITO_TRY(check_names("up_block_types", c.up_block_types, kConditionUpBlocks));
  if (c.mid_block_type)
    ITO_TRY(check_one_of("mid_block_type", *c.mid_block_type, kConditionMiddleBlocks));
  ITO_TRY(check_activation(c.act_fn));
  ITO_TRY(check_one_of("resnet_time_scale_shift", c.resnet_time_scale_shift,
                       kConditionTimeScaleShifts));
  ITO_TRY(check_size(c.sample_size));
  ITO_TRY(check_count("in_channels", c.in_channels, config_limits::kChannels));
  ITO_TRY(check_count("out_channels", c.out_channels, config_limits::kChannels));
  ITO_TRY(check_norm(channels, c.norm_num_groups));
  ITO_TRY(check_per_level("layers_per_block", c.layers_per_block, levels, config_limits::kLayers));
  ITO_TRY(check_per_level("transformer_layers_per_block", c.transformer_layers_per_block, levels,
                          config_limits::kLayers));
  ITO_TRY(check_per_level("cross_attention_dim", c.cross_attention_dim, levels,
                          config_limits::kChannels));
  ITO_TRY(check_per_level("attention_head_dim", c.attention_head_dim, levels,
                          config_limits::kChannels));
  for (const int features : c.cross_attention_dim)
    if (features != c.cross_attention_dim[0])
      return unsupported(
          "cross_attention_dim: expected the same number at every level, found {} "
          "and {}",
          c.cross_attention_dim[0], features);
  for (size_t i = 0; i < levels; ++i) {
    const int heads = at_level(c.attention_head_dim, i);
    const bool attends = has_cross_attention(c.down_block_types[i]) ||
                         has_cross_attention(c.up_block_types[levels - 1 - i]) ||
                         (i + 1 == levels && c.mid_block_type);
    if (attends && channels[i] % heads != 0)
      return unsupported(
          "attention_head_dim: expected a number of heads that divides the {} channels of level "
          "{}, found {}",
          channels[i], i, heads);
  }
  if (c.downsample_padding < 0 || c.downsample_padding > 2)
    return invalid_argument("downsample_padding: expected 0, 1 or 2, found {}",
                            c.downsample_padding);
  if (c.mid_block_scale_factor == 0)
    return invalid_argument("mid_block_scale_factor: expected a number other than 0, found 0");
  if (!(c.norm_eps > 0 && c.norm_eps <= 1))
    return invalid_argument("norm_eps: expected a positive number, at most 1, found {}",
                            c.norm_eps);
  ITO_TRY(check_dropout(c.dropout));
  if (channels[0] < 2 || channels[0] / 2 <= c.freq_shift)
    return invalid_argument(
        "block_out_channels: expected a first entry above twice the freq_shift {} for positional "
        "time features, found {}",
        c.freq_shift, channels[0]);
  if (c.num_class_embeds)
    ITO_TRY(check_count("num_class_embeds", *c.num_class_embeds, config_limits::kRows));
  if (c.time_embedding_dim)
    ITO_TRY(check_count("time_embedding_dim", *c.time_embedding_dim, config_limits::kChannels));
  if (c.time_cond_proj_dim)
    ITO_TRY(check_count("time_cond_proj_dim", *c.time_cond_proj_dim, config_limits::kChannels));
  ITO_TRY(check_kernel("conv_in_kernel", c.conv_in_kernel));
  return check_kernel("conv_out_kernel", c.conv_out_kernel);
}

Status check_autoencoder_kl(const AutoencoderKLConfig& c) {
  ITO_TRY(check_levels(c.block_out_channels, c.down_block_types, c.up_block_types));
  ITO_TRY(check_names("down_block_types", c.down_block_types, kEncoderBlocks));
  ITO_TRY(check_names("up_block_types", c.up_block_types, kDecoderBlocks));
  ITO_TRY(check_activation(c.act_fn));
  ITO_TRY(check_size(c.sample_size));
  ITO_TRY(check_count("in_channels", c.in_channels, config_limits::kChannels));
  ITO_TRY(check_count("out_channels", c.out_channels, config_limits::kChannels));
  ITO_TRY(check_count("latent_channels", c.latent_channels, config_limits::kChannels));
  ITO_TRY(check_count("layers_per_block", c.layers_per_block, config_limits::kLayers));
  if (!(c.scaling_factor > 0 && c.scaling_factor < 1e30))
    return invalid_argument("scaling_factor: expected a positive number, found {}",
                            c.scaling_factor);
  return check_norm(c.block_out_channels, c.norm_num_groups);
}

}  // namespace ito
