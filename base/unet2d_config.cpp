#include "base/unet2d_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "base/name_list.h"

namespace ito {
namespace {

constexpr BlockKind kDownBlocks[] = {
    {.name = "DownBlock2D"},
    {.name = "ResnetDownsampleBlock2D", .resnet_sampler = true},
    {.name = "AttnDownBlock2D", .attention = true},
    {.name = "SkipDownBlock2D", .image_skip = true},
    {.name = "AttnSkipDownBlock2D", .attention = true, .image_skip = true},
};

constexpr BlockKind kUpBlocks[] = {
    {.name = "UpBlock2D"},
    {.name = "ResnetUpsampleBlock2D", .resnet_sampler = true},
    {.name = "AttnUpBlock2D", .attention = true},
    {.name = "SkipUpBlock2D", .image_skip = true},
    {.name = "AttnSkipUpBlock2D", .attention = true, .image_skip = true},
};

constexpr std::string_view kActivations[] = {"silu", "swish", "mish", "gelu", "relu"};

// How a network is told the time, by time_embedding_type.
struct TimeEmbedding {
  std::string_view name;
  bool sigma = false;       // told the noise level instead of a timestep
  bool sinusoidal = false;  // by sines of half the first level's channels
  bool table = false;       // by a row for each timestep
  bool conditions = true;   // there is an embedding that blocks may add others to
};
constexpr TimeEmbedding kTimeEmbeddings[] = {
    {.name = "positional", .sinusoidal = true},
    {.name = "fourier", .sigma = true},
    {.name = "learned", .table = true},
    {.name = "none", .sigma = true, .conditions = false},
};

constexpr std::string_view kSamplers[] = {"conv", "resnet"};
constexpr std::string_view kTimeScaleShifts[] = {"default", "scale_shift"};
constexpr std::string_view kClassEmbeddings[] = {"timestep", "identity"};
constexpr std::string_view kMiddleBlocks[] = {"UNetMidBlock2D"};

// Null for an unknown name, which check_names refuses.
const TimeEmbedding* time_embedding(const UNet2DConfig& config) {
  for (const TimeEmbedding& row : kTimeEmbeddings)
    if (row.name == config.time_embedding_type) return &row;
  return nullptr;
}

const BlockKind* find_block(std::span<const BlockKind> kinds, std::string_view name) {
  constexpr std::string_view kOldPrefix = "UNetRes";
  if (name.starts_with(kOldPrefix)) name.remove_prefix(kOldPrefix.size());
  const auto it = std::find_if(kinds.begin(), kinds.end(),
                               [&](const BlockKind& kind) { return kind.name == name; });
  return it == kinds.end() ? nullptr : &*it;
}

Status check_blocks(std::string_view field, const std::vector<std::string>& names,
                    std::span<const BlockKind> kinds) {
  std::vector<std::string_view> known;
  for (const BlockKind& kind : kinds) known.push_back(kind.name);
  for (const std::string& name : names)
    if (find_block(kinds, name) == nullptr) ITO_TRY(check_one_of(field, name, known));
  return {};
}

}  // namespace

const BlockKind* find_down_block(std::string_view name) { return find_block(kDownBlocks, name); }
const BlockKind* find_up_block(std::string_view name) { return find_block(kUpBlocks, name); }

void set_blocks(UNet2DConfig& config, bool image_skip, bool attention) {
  const auto name = [&](std::span<const BlockKind> kinds, bool attends) {
    for (const BlockKind& kind : kinds)
      if (!kind.resnet_sampler && kind.image_skip == image_skip && kind.attention == attends)
        return std::string(kind.name);
    CHECK(false, "there is a block of every kind");
  };
  const size_t levels = config.block_out_channels.size();
  config.down_block_types.assign(levels, name(kDownBlocks, false));
  config.up_block_types.assign(levels, name(kUpBlocks, false));
  config.down_block_types.back() = name(kDownBlocks, attention);
  config.up_block_types.front() = name(kUpBlocks, attention);
}

std::span<const std::string_view> activation_names() { return kActivations; }
Status check_activation(std::string_view name) {
  return check_one_of("act_fn", name, kActivations);
}

int64_t image_skip_groups(int64_t channels) { return std::min<int64_t>(channels / 4, 32); }

int64_t up_resnet_groups(const UNet2DConfig& config, const BlockKind& kind, int64_t channels,
                         int64_t skip_channels) {
  if (!kind.image_skip) return *config.norm_num_groups;
  if (kind.attention) return std::min<int64_t>(channels + skip_channels / 4, 32);
  return image_skip_groups(channels + skip_channels);
}

int64_t embedding_dim(const UNet2DConfig& config) {
  return config.time_embedding_dim.value_or(4 * config.block_out_channels[0]);
}

bool takes_sigma(const UNet2DConfig& config) {
  const TimeEmbedding* time = time_embedding(config);
  return time != nullptr && time->sigma;
}

Status check_one_of(std::string_view field, std::string_view value,
                    std::span<const std::string_view> known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return {};
  return unsupported("{}: expected one of {}, found \"{}\"", field, joined(known), value);
}

Status check_positive(std::string_view field, int64_t value) {
  if (value > 0) return {};
  return invalid_argument("{}: expected a positive number, found {}", field, value);
}

Status check_dropout(double value) {
  if (value >= 0 && value <= 1) return {};
  return invalid_argument("dropout: expected a number from 0 to 1, found {}", value);
}

Status check_count(std::string_view field, int64_t value, int64_t most) {
  ITO_TRY(check_positive(field, value));
  if (value <= most) return {};
  return unsupported("{}: expected at most {}, found {}", field, most, value);
}

Status check_groups(std::string_view where, int64_t channels, int64_t groups) {
  if (groups > 0 && channels % groups == 0) return {};
  return invalid_argument("{}: expected a channel count that {} groups divide, found {}", where,
                          groups, channels);
}

namespace {

// A head may not be wider than the blocks that have attention.
Status check_heads(const UNet2DConfig& config) {
  if (!config.attention_head_dim) return {};
  ITO_TRY(check_positive("attention_head_dim", *config.attention_head_dim));
  const std::vector<int>& channels = config.block_out_channels;
  for (size_t i = 0; i < channels.size(); ++i) {
    const bool attends =
        find_down_block(config.down_block_types[i])->attention ||
        find_up_block(config.up_block_types[channels.size() - 1 - i])->attention ||
        (i + 1 == channels.size() && config.mid_block_type && config.add_attention);
    if (attends && *config.attention_head_dim > channels[i]) {
      return invalid_argument(
          "attention_head_dim: expected at most the {} channels of the block, found {}",
          channels[i], *config.attention_head_dim);
    }
  }
  return {};
}

Status check_names(const UNet2DConfig& config) {
  std::vector<std::string_view> embeddings;
  for (const TimeEmbedding& row : kTimeEmbeddings) embeddings.push_back(row.name);
  ITO_TRY(check_one_of("time_embedding_type", config.time_embedding_type, embeddings));
  ITO_TRY(check_one_of("downsample_type", config.downsample_type, kSamplers));
  ITO_TRY(check_one_of("upsample_type", config.upsample_type, kSamplers));
  ITO_TRY(
      check_one_of("resnet_time_scale_shift", config.resnet_time_scale_shift, kTimeScaleShifts));
  ITO_TRY(check_activation(config.act_fn));
  if (config.class_embed_type)
    ITO_TRY(check_one_of("class_embed_type", *config.class_embed_type, kClassEmbeddings));
  if (config.mid_block_type)
    ITO_TRY(check_one_of("mid_block_type", *config.mid_block_type, kMiddleBlocks));
  ITO_TRY(check_blocks("down_block_types", config.down_block_types, kDownBlocks));
  return check_blocks("up_block_types", config.up_block_types, kUpBlocks);
}

Status check_numbers(const UNet2DConfig& config) {
  const TimeEmbedding& time = *time_embedding(config);  // known: check_names comes first
  ITO_TRY(check_count("in_channels", config.in_channels, config_limits::kChannels));
  ITO_TRY(check_count("out_channels", config.out_channels, config_limits::kChannels));
  ITO_TRY(check_count("layers_per_block", config.layers_per_block, config_limits::kLayers));
  for (int channels : config.block_out_channels) {
    ITO_TRY(check_count("block_out_channels", channels, config_limits::kChannels));
  }
  if (config.time_embedding_dim) {
    ITO_TRY(
        check_count("time_embedding_dim", *config.time_embedding_dim, config_limits::kChannels));
  }
  if (config.num_class_embeds) {
    ITO_TRY(check_count("num_class_embeds", *config.num_class_embeds, config_limits::kRows));
  }
  if (config.sample_size) {
    for (const int side : *config.sample_size)
      ITO_TRY(check_count("sample_size", side, config_limits::kChannels));
  }
  ITO_TRY(check_dropout(config.dropout));
  if (!(std::fabs(config.freq_shift) <= 1e6f))
    return invalid_argument("freq_shift: expected a number from -1e6 to 1e6, found {}",
                            config.freq_shift);
  if (config.downsample_padding < 0 || config.downsample_padding > 2) {
    return invalid_argument("downsample_padding: expected 0, 1 or 2, found {}",
                            config.downsample_padding);
  }
  if (config.mid_block_scale_factor == 0) {
    return invalid_argument("mid_block_scale_factor: expected a number other than 0, found 0");
  }
  if (!(config.norm_eps > 0 && config.norm_eps <= 1)) {
    return invalid_argument("norm_eps: expected a positive number, at most 1, found {}",
                            config.norm_eps);
  }
  const int first = config.block_out_channels[0], half = first / 2;
  if (time.sinusoidal && (first < 2 || static_cast<float>(half) - config.freq_shift <= 0)) {
    return invalid_argument(
        "block_out_channels: expected a first entry above twice the freq_shift {} for positional "
        "time features, found {}",
        config.freq_shift, first);
  }
  if (config.sigma_data && (!(*config.sigma_data > 0) || !takes_sigma(config))) {
    return invalid_argument(
        "sigma_data: expected a positive number and time_embedding_type \"fourier\" or \"none\", "
        "found {} and \"{}\"",
        *config.sigma_data, config.time_embedding_type);
  }
  if (config.energy && (takes_sigma(config) || config.out_channels != config.in_channels)) {
    return invalid_argument(
        "energy: expected as many output as input channels and a network that is told a timestep, "
        "found {} for {} and time_embedding_type \"{}\"",
        config.out_channels, config.in_channels, config.time_embedding_type);
  }
  if (!time.conditions && config.resnet_time_scale_shift == "scale_shift" &&
      !config.num_class_embeds && !config.class_embed_type) {
    return invalid_argument(
        "resnet_time_scale_shift: expected \"default\" for a network that is conditioned on "
        "nothing, found \"scale_shift\"");
  }
  if (!time.conditions && config.class_embed_type == "timestep") {
    return unsupported(
        "class_embed_type: expected null or \"identity\" with time_embedding_type \"none\", found "
        "\"timestep\"");
  }
  if (time.table && (!config.num_train_timesteps || *config.num_train_timesteps <= 0 ||
                     *config.num_train_timesteps > config_limits::kRows)) {
    return invalid_argument(
        "num_train_timesteps: expected the positive number of rows of the time table that "
        "time_embedding_type \"learned\" makes, found {}",
        config.num_train_timesteps ? std::to_string(*config.num_train_timesteps) : "null");
  }
  return {};
}

// How many of the named blocks carry the image of NCSN++ along: all or none, so that it meets every
// level.
Result<bool> has_image_skip(std::string_view field, const std::vector<std::string>& names,
                            const BlockKind* (*find)(std::string_view)) {
  const auto count = std::count_if(names.begin(), names.end(),
                                   [&](const std::string& name) { return find(name)->image_skip; });
  if (count != 0 && count != static_cast<int64_t>(names.size())) {
    return unsupported("{}: expected Skip blocks at every level or at none, found {} of {}", field,
                       count, names.size());
  }
  return count != 0;
}

Status check_image_skip(const UNet2DConfig& config) {
  ITO_TRY(has_image_skip("down_block_types", config.down_block_types, find_down_block));
  ITO_TRY(has_image_skip("up_block_types", config.up_block_types, find_up_block));
  return {};
}

Status check_group_counts(const UNet2DConfig& config) {
  const std::vector<int>& channels = config.block_out_channels;
  const size_t levels = channels.size();
  if (config.norm_num_groups) {
    ITO_TRY(check_positive("norm_num_groups", *config.norm_num_groups));
    for (int c : channels) {
      ITO_TRY(check_groups("block_out_channels (norm_num_groups)", c, *config.norm_num_groups));
    }
  } else {
    for (int c : {channels.front(), channels.back()}) {
      ITO_TRY(check_groups("block_out_channels", c, image_skip_groups(c)));
    }
  }
  if (config.attn_norm_num_groups && config.add_attention) {
    ITO_TRY(check_groups("block_out_channels (attn_norm_num_groups)", channels.back(),
                         *config.attn_norm_num_groups));
  }
  for (size_t i = 0; i < levels; ++i) {
    const BlockKind& down = *find_down_block(config.down_block_types[i]);
    const BlockKind& up = *find_up_block(config.up_block_types[i]);
    for (const BlockKind* kind : {&down, &up}) {
      if (!kind->image_skip && !config.norm_num_groups) {
        return invalid_argument("norm_num_groups: expected a number with {}, found null",
                                kind->name);
      }
    }
    const int out = channels[levels - 1 - i];
    if (down.image_skip) {
      ITO_TRY(check_groups(down.name, channels[i], image_skip_groups(channels[i])));
      if (down.attention) ITO_TRY(check_groups(down.name, channels[i], 32));
    }
    if (!up.image_skip) continue;
    ITO_TRY(check_groups(up.name, out, image_skip_groups(out)));
    if (up.attention) ITO_TRY(check_groups(up.name, out, 32));
    for (int layer = 0; layer <= config.layers_per_block; ++layer) {
      const int64_t x = layer == 0 && i > 0 ? channels[levels - i] : out;
      const int64_t skip = layer == config.layers_per_block
                               ? channels[levels - 1 - std::min(i + 1, levels - 1)]
                               : out;
      ITO_TRY(check_groups(up.name, x + skip, up_resnet_groups(config, up, x, skip)));
    }
  }
  return {};
}

}  // namespace

Status check_unet2d(const UNet2DConfig& config) {
  const size_t levels = config.block_out_channels.size();
  if (levels == 0) {
    return invalid_argument("block_out_channels: expected at least one entry, found none");
  }
  if (levels > static_cast<size_t>(config_limits::kLevels)) {
    return unsupported("block_out_channels: expected at most {} entries, found {}",
                       config_limits::kLevels, levels);
  }
  if (config.down_block_types.size() != levels || config.up_block_types.size() != levels) {
    return invalid_argument(
        "down_block_types, up_block_types: expected {} entries each, as in block_out_channels, "
        "found {} and {}",
        levels, config.down_block_types.size(), config.up_block_types.size());
  }
  ITO_TRY(check_names(config));
  ITO_TRY(check_numbers(config));
  ITO_TRY(check_heads(config));
  ITO_TRY(check_image_skip(config));
  return check_group_counts(config);
}

Status check_unet2d_size(const UNet2DConfig& config, int64_t h, int64_t w) {
  ITO_TRY(check_unet2d(config));
  const bool image_skip = find_down_block(config.down_block_types[0])->image_skip ||
                          find_up_block(config.up_block_types[0])->image_skip;
  const size_t halvings = config.block_out_channels.size() - 1;
  for (const auto& [field, size] : {std::pair{"height", h}, std::pair{"width", w}}) {
    ITO_TRY(check_positive(field, size));
    if (image_skip && size % (int64_t{1} << halvings) != 0) {
      return invalid_argument("{}: expected a multiple of {} with Skip blocks, found {}", field,
                              int64_t{1} << halvings, size);
    }
    int64_t s = size;
    for (size_t i = 0; i < halvings; ++i) {
      const BlockKind& kind = *find_down_block(config.down_block_types[i]);
      const bool pools =
          kind.resnet_sampler || (kind.attention && config.downsample_type == "resnet");
      const int64_t padding = config.downsample_padding == 0 ? 1 : 2 * config.downsample_padding;
      // A 3-wide stride-2 convolution needs three samples, padding included; a pool needs two.
      s = pools || kind.image_skip ? s / 2 : (s + padding < 3 ? 0 : (s + padding - 3) / 2 + 1);
      if (s < 1) {
        return invalid_argument(
            "{}: expected enough pixels for {} halvings of the network, found {}", field, halvings,
            size);
      }
    }
  }
  return {};
}

}  // namespace ito
