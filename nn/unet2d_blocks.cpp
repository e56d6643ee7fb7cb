#include "nn/unet2d_blocks.h"

#include <algorithm>
#include <numbers>
#include <span>

#include "base/check.h"
#include "nn/attention_block.h"
#include "nn/resnet.h"

namespace ito {
namespace {

// NCSN++ divides every sum of two branches by sqrt(2) (Song et al. 2021, appendix H).
constexpr double kImageSkipScale = std::numbers::sqrt2;
constexpr int64_t kImageSkipAttentionGroups = 32;

ResnetOptions resnet_options(const UNet2DConfig& config, const BlockKind& kind, int64_t in_channels,
                             int64_t channels) {
  ResnetOptions options;
  options.eps = config.norm_eps;
  options.act_fn = config.act_fn;
  options.dropout = config.dropout;
  options.scale_shift = config.resnet_time_scale_shift == "scale_shift";
  if (kind.image_skip) {
    options.groups = image_skip_groups(in_channels);
    options.groups_out = image_skip_groups(channels);
    options.output_scale_factor = kImageSkipScale;
  } else {
    options.groups = *config.norm_num_groups;
  }
  return options;
}

AttentionBlockOptions attention_options(const UNet2DConfig& config, const BlockKind& kind) {
  return {.head_dim = config.attention_head_dim.value_or(0),
          .norm_groups = kind.image_skip ? kImageSkipAttentionGroups : *config.norm_num_groups,
          .eps = config.norm_eps,
          .output_scale_factor = kind.image_skip ? kImageSkipScale : 1.0};
}

}  // namespace

void down_block(const Scope& scope, const UNet2DConfig& config, size_t level, Tensor embedding,
                UNetState& state) {
  const BlockKind& kind = *find_down_block(config.down_block_types[level]);
  const int64_t channels = config.block_out_channels[level];
  for (int i = 0; i < config.layers_per_block; ++i) {
    state.x = resnet_block(scope / "resnets" / i, state.x, embedding, channels,
                           resnet_options(config, kind, state.x.dim(3), channels));
    if (kind.attention) {
      state.x = attention_block(scope / "attentions" / i, state.x, attention_options(config, kind));
    }
    state.skips.push_back(state.x);
  }
  if (level + 1 == config.block_out_channels.size()) return;

  ResnetOptions resampling = resnet_options(config, kind, channels, channels);
  if (kind.image_skip) {
    resampling.resample = Resample::kFirDown;
    resampling.always_shortcut_conv = true;
    state.x = resnet_block(scope / "resnet_down", state.x, embedding, channels, resampling);
    state.image = fir_down2(state.image);
    state.x = state.x + conv2d_1x1(scope / "skip_conv", state.image, channels);
  } else if (kind.resnet_sampler || (kind.attention && config.downsample_type == "resnet")) {
    resampling.resample = Resample::kDown;
    state.x = resnet_block(scope / "downsamplers" / 0, state.x, embedding, channels, resampling);
  } else {
    const int64_t p = config.downsample_padding;
    Conv2dOptions options{.stride = 2, .pad = {p, p, p, p}};
    if (p == 0) options.pad = {0, 1, 0, 1};  // diffusers then pads only at the bottom and right
    state.x = conv2d(scope / "downsamplers" / 0 / "conv", state.x, channels, options);
  }
  state.skips.push_back(state.x);
}

void middle_block(const Scope& scope, const UNet2DConfig& config, Tensor embedding,
                  UNetState& state) {
  const int64_t channels = config.block_out_channels.back();
  ResnetOptions options;
  options.groups = config.norm_num_groups.value_or(image_skip_groups(channels));
  options.eps = config.norm_eps;
  options.act_fn = config.act_fn;
  options.dropout = config.dropout;
  options.scale_shift = config.resnet_time_scale_shift == "scale_shift";
  options.output_scale_factor = config.mid_block_scale_factor;
  state.x = resnet_block(scope / "resnets" / 0, state.x, embedding, channels, options);
  if (config.add_attention) {
    // Networks that scale and shift have no norm here unless it is asked for.
    const int64_t groups =
        config.attn_norm_num_groups.value_or(options.scale_shift ? 0 : options.groups);
    state.x = attention_block(scope / "attentions" / 0, state.x,
                              {.head_dim = config.attention_head_dim.value_or(0),
                               .norm_groups = groups,
                               .eps = config.norm_eps,
                               .output_scale_factor = config.mid_block_scale_factor});
  }
  state.x = resnet_block(scope / "resnets" / 1, state.x, embedding, channels, options);
}

void up_block(const Scope& scope, const UNet2DConfig& config, size_t level, Tensor embedding,
              UNetState& state) {
  const BlockKind& kind = *find_up_block(config.up_block_types[level]);
  const size_t levels = config.block_out_channels.size();
  const int64_t channels = config.block_out_channels[levels - 1 - level];
  for (int i = 0; i <= config.layers_per_block; ++i) {
    CHECK(!state.skips.empty(), "more up layers than skip connections");
    const Tensor skip = state.skips.back();
    state.skips.pop_back();
    const int64_t x_channels = state.x.dim(3);
    ResnetOptions options = resnet_options(config, kind, x_channels + skip.dim(3), channels);
    options.groups = up_resnet_groups(config, kind, x_channels, skip.dim(3));
    state.x = resnet_block(scope / "resnets" / i, concat({state.x, skip}, 3), embedding, channels,
                           options);
    if (kind.attention && !kind.image_skip) {
      state.x = attention_block(scope / "attentions" / i, state.x, attention_options(config, kind));
    }
  }
  const bool last = level + 1 == levels;
  ResnetOptions resampling = resnet_options(config, kind, channels, channels);
  if (kind.image_skip) {
    if (kind.attention) {
      state.x = attention_block(scope / "attentions" / 0, state.x, attention_options(config, kind));
    }
    if (state.image) state.image = fir_up2(state.image);
    if (last) return;
    resampling.resample = Resample::kFirUp;
    resampling.always_shortcut_conv = true;
    const Tensor x = state.x;
    state.x = resnet_block(scope / "resnet_up", x, embedding, channels, resampling);
    // The image's branch reads the block's value before it is upsampled.
    Tensor image = group_norm(scope / "skip_norm", x, image_skip_groups(channels), config.norm_eps);
    image = conv2d(scope / "skip_conv", silu(image), config.out_channels);
    state.image = state.image ? state.image + image : image;
    return;
  }
  if (last) return;
  const Tensor target = state.skips.back();
  const Scope sampler = scope / "upsamplers" / 0;
  if (kind.resnet_sampler || (kind.attention && config.upsample_type == "resnet")) {
    resampling.resample = Resample::kUp;
    resampling.up_size = {target.dim(1), target.dim(2)};
    state.x = resnet_block(sampler, state.x, embedding, channels, resampling);
  } else {
    const Tensor up = upsample_to(state.x, target.dim(1), target.dim(2));
    state.x = conv2d(sampler / "conv", up, channels);
  }
}

}  // namespace ito
