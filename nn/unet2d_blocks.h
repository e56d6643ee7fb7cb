// The down, middle and up blocks of UNet2DModel: which residual blocks, attentions and samplers one
// block name stands for. Not the embedding and not the order of blocks (nn/unet2d.h).
#pragma once

#include <string_view>
#include <vector>

#include "base/config.h"
#include "nn/scope.h"

namespace ito {

// What a block name stands for.
struct BlockKind {
  std::string_view name;
  bool attention = false;       // after every residual block (NCSN++ up: once, after the last)
  bool resnet_sampler = false;  // a residual block resamples, whatever {down,up}sample_type says
  bool image_skip = false;      // NCSN++: a resampled image runs along and is mixed in
};

// Null if there is no such block. The prefix "UNetRes" of old configurations is accepted.
const BlockKind* find_down_block(std::string_view name);
const BlockKind* find_up_block(std::string_view name);

// Groups of an NCSN++ block's norms: a quarter of the channels, at most 32.
int64_t image_skip_groups(int64_t channels);
// Groups of norm1 in up blocks. AttnSkipUpBlock2D does not divide the first summand by four
// (diffusers' operator precedence), which its checkpoints rely on.
int64_t up_resnet_groups(const UNet2DConfig& config, const BlockKind& kind, int64_t channels,
                         int64_t skip_channels);

// What runs through the network.
struct UNetState {
  Tensor x;                   // [n,h,w,c]
  Tensor image;               // NCSN++: the input (down) or output (up) image at this size, or none
  std::vector<Tensor> skips;  // pushed on the way down, popped on the way up
};

// `level` counts blocks from 0 in the order they run; the last one does not resample.
void down_block(const Scope& scope, const UNet2DConfig& config, size_t level, Tensor embedding,
                UNetState& state);
void middle_block(const Scope& scope, const UNet2DConfig& config, Tensor embedding,
                  UNetState& state);
void up_block(const Scope& scope, const UNet2DConfig& config, size_t level, Tensor embedding,
              UNetState& state);

}  // namespace ito
