// What a UNet2DConfig may say: its blocks by name, and the one set of checks that files, command
// lines and the network itself go by. Not the network (nn/unet2d.h) and not the JSON form (io).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/result.h"

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

// Makes the blocks of every level of block_out_channels: residual ones (of NCSN++ with
// `image_skip`), and `attention` in the innermost.
void set_blocks(UNet2DConfig& config, bool image_skip, bool attention);

// The names of activation functions in configurations.
std::span<const std::string_view> activation_names();
// Error kUnsupported: an unknown name.
Status check_activation(std::string_view name);

// Groups of an NCSN++ block's norms: a quarter of the channels, at most 32.
int64_t image_skip_groups(int64_t channels);
// Groups of norm1 in up blocks. AttnSkipUpBlock2D does not divide the first summand by four
// (diffusers' operator precedence), which its checkpoints rely on.
int64_t up_resnet_groups(const UNet2DConfig& config, const BlockKind& kind, int64_t channels,
                         int64_t skip_channels);

// Width of the embedding of time and class: time_embedding_dim, or its default.
int64_t embedding_dim(const UNet2DConfig& config);

// Whether the network is told the noise level sigma, and gives a score (its last layer's output
// divided by sigma): time_embedding_type "fourier" (NCSN++) and "none" (NCSNv2: sigma does nothing
// but divide). Else it is told a timestep.
bool takes_sigma(const UNet2DConfig& config);

// Whether the configuration describes a network: known names, as many up as down blocks, channel
// counts that the group norms divide. The error names the field, what was expected and what found:
// kUnsupported for a name or a number that this build does not know, kInvalidArgument for what
// describes no network.
Status check_unet2d(const UNet2DConfig& config);
// Whether images of height h and width w can pass. Any size does for the convolutional blocks that
// is not smaller than the number of halvings allows; NCSN++ blocks need multiples of 2^(levels-1).
Status check_unet2d_size(const UNet2DConfig& config, int64_t h, int64_t w);

// The checks that configurations of networks share. `field` is the key's name.
Status check_one_of(std::string_view field, std::string_view value,
                    std::span<const std::string_view> known);
Status check_positive(std::string_view field, int64_t value);
// Of dropout: from 0 to 1.
Status check_dropout(double value);
// From 1 to `most`: no network that fits a device comes near these bounds, and counts above them
// would only take for ever.
Status check_count(std::string_view field, int64_t value, int64_t most);
namespace config_limits {
inline constexpr int64_t kChannels = 1 << 20, kLayers = 256, kLevels = 16, kRows = 1 << 24;
}
// Whether `groups` divide the channel count.
Status check_groups(std::string_view where, int64_t channels, int64_t groups);

}  // namespace ito
