// The JSON form of UNet2DConfig, and the checks of its values.
#include <array>
#include <cmath>

#include "base/error.h"
#include "io/config_keys.h"
#include "io/diffusers.h"

namespace ito {
namespace {

using namespace config_keys;  // internal to this room

constexpr std::array<std::string_view, 5> kDownBlocks = {"DownBlock2D", "ResnetDownsampleBlock2D",
                                                         "AttnDownBlock2D", "SkipDownBlock2D",
                                                         "AttnSkipDownBlock2D"};
constexpr std::array<std::string_view, 5> kUpBlocks = {
    "UpBlock2D", "ResnetUpsampleBlock2D", "AttnUpBlock2D", "SkipUpBlock2D", "AttnSkipUpBlock2D"};
constexpr std::array<std::string_view, 1> kMidBlocks = {"UNetMidBlock2D"};
constexpr std::array<std::string_view, 5> kActivations = {"silu", "swish", "mish", "gelu", "relu"};
constexpr std::array<std::string_view, 4> kTimeEmbeddings = {"positional", "fourier", "learned",
                                                             "none"};
constexpr std::array<std::string_view, 2> kResampleTypes = {"conv", "resnet"};
constexpr std::array<std::string_view, 2> kTimeScaleShifts = {"default", "scale_shift"};
constexpr std::array<std::string_view, 2> kClassEmbeddings = {"timestep", "identity"};

// The names of blocks before diffusers 0.3.
std::vector<std::string> modern_blocks(std::vector<std::string> blocks) {
  for (std::string& block : blocks)
    if (block.starts_with("UNetRes")) block.erase(0, 7);
  return blocks;
}

#define ITO_UNET_KEY(field) key<UNet2DConfig, &UNet2DConfig::field>(#field)
constexpr Key<UNet2DConfig> kUnetKeys[] = {
    ITO_UNET_KEY(sample_size),
    ITO_UNET_KEY(in_channels),
    ITO_UNET_KEY(out_channels),
    ITO_UNET_KEY(center_input_sample),
    ITO_UNET_KEY(time_embedding_type),
    ITO_UNET_KEY(time_embedding_dim),
    ITO_UNET_KEY(freq_shift),
    ITO_UNET_KEY(flip_sin_to_cos),
    ITO_UNET_KEY(down_block_types),
    ITO_UNET_KEY(mid_block_type),
    ITO_UNET_KEY(up_block_types),
    ITO_UNET_KEY(block_out_channels),
    ITO_UNET_KEY(layers_per_block),
    ITO_UNET_KEY(mid_block_scale_factor),
    ITO_UNET_KEY(downsample_padding),
    ITO_UNET_KEY(downsample_type),
    ITO_UNET_KEY(upsample_type),
    ITO_UNET_KEY(dropout),
    ITO_UNET_KEY(act_fn),
    ITO_UNET_KEY(attention_head_dim),
    ITO_UNET_KEY(norm_num_groups),
    ITO_UNET_KEY(attn_norm_num_groups),
    ITO_UNET_KEY(norm_eps),
    ITO_UNET_KEY(resnet_time_scale_shift),
    ITO_UNET_KEY(add_attention),
    ITO_UNET_KEY(class_embed_type),
    ITO_UNET_KEY(num_class_embeds),
    ITO_UNET_KEY(num_train_timesteps),
};
#undef ITO_UNET_KEY

Json parse_extra(const std::string& text) { return Json::parse(text, nullptr, false); }

}  // namespace

Result<UNet2DConfig> parse_unet_config(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject o, JsonObject::open(json, where));
  std::string class_name = "UNet2DModel";
  ITO_TRY(o.read("_class_name", &class_name));
  constexpr std::array<std::string_view, 1> kClasses = {"UNet2DModel"};
  ITO_TRY(check_choice(where, "_class_name", class_name, kClasses));

  UNet2DConfig c;
  for (const Key<UNet2DConfig>& key : kUnetKeys) ITO_TRY(key.read(o, key.name, &c));
  ITO_TRY(o.read("sigma_data", &c.sigma_data));
  c.down_block_types = modern_blocks(std::move(c.down_block_types));
  c.up_block_types = modern_blocks(std::move(c.up_block_types));
  for (const std::string& key : o.unknown_keys()) c.extra[key] = dump_json_line(json[key]);
  ITO_TRY(validate_unet_config(c, where));
  return c;
}

Json unet_config_json(const UNet2DConfig& c) {
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : c.extra) json[key] = parse_extra(text);
  json["_class_name"] = "UNet2DModel";
  for (const Key<UNet2DConfig>& key : kUnetKeys) json[key.name] = key.write(c);
  // Left out where it is not used: diffusers does not know it.
  if (c.sigma_data) json["sigma_data"] = *c.sigma_data;
  return json;
}

Status validate_unet_config(const UNet2DConfig& c, const std::string& where) {
  if (c.sample_size)
    for (int side : *c.sample_size)
      ITO_TRY(check_range(where, "sample_size", side, 1, kMaxChannels));
  ITO_TRY(check_range(where, "in_channels", c.in_channels, 1, kMaxChannels));
  ITO_TRY(check_range(where, "out_channels", c.out_channels, 1, kMaxChannels));
  ITO_TRY(check_choice(where, "time_embedding_type", c.time_embedding_type, kTimeEmbeddings));
  ITO_TRY(check_range(where, "time_embedding_dim", c.time_embedding_dim, 1, kMaxChannels));
  ITO_TRY(check_range(where, "freq_shift", c.freq_shift, -1e6, 1e6));
  for (const std::string& block : c.down_block_types)
    ITO_TRY(check_choice(where, "down_block_types", block, kDownBlocks));
  if (c.mid_block_type)
    ITO_TRY(check_choice(where, "mid_block_type", *c.mid_block_type, kMidBlocks));
  for (const std::string& block : c.up_block_types)
    ITO_TRY(check_choice(where, "up_block_types", block, kUpBlocks));
  size_t blocks = c.block_out_channels.size();
  ITO_TRY(check_range(where, "block_out_channels (count)", static_cast<double>(blocks), 1, 30));
  if (c.down_block_types.size() != blocks)
    return corrupt("{}: key 'down_block_types' has {} entries, block_out_channels has {}", where,
                   c.down_block_types.size(), blocks);
  if (c.up_block_types.size() != blocks)
    return corrupt("{}: key 'up_block_types' has {} entries, block_out_channels has {}", where,
                   c.up_block_types.size(), blocks);
  for (int channels : c.block_out_channels)
    ITO_TRY(check_range(where, "block_out_channels", channels, 1, kMaxChannels));
  ITO_TRY(check_range(where, "layers_per_block", c.layers_per_block, 1, kMaxLayers));
  ITO_TRY(check_range(where, "downsample_padding", c.downsample_padding, 0, 1));
  ITO_TRY(check_choice(where, "downsample_type", c.downsample_type, kResampleTypes));
  ITO_TRY(check_choice(where, "upsample_type", c.upsample_type, kResampleTypes));
  ITO_TRY(check_range(where, "dropout", c.dropout, 0, 1));
  ITO_TRY(check_choice(where, "act_fn", c.act_fn, kActivations));
  ITO_TRY(check_range(where, "attention_head_dim", c.attention_head_dim, 1, kMaxChannels));
  ITO_TRY(check_range(where, "norm_num_groups", c.norm_num_groups, 1, kMaxChannels));
  ITO_TRY(check_range(where, "attn_norm_num_groups", c.attn_norm_num_groups, 1, kMaxChannels));
  ITO_TRY(check_range(where, "norm_eps", c.norm_eps, 0, 1));
  ITO_TRY(
      check_choice(where, "resnet_time_scale_shift", c.resnet_time_scale_shift, kTimeScaleShifts));
  if (c.class_embed_type)
    ITO_TRY(check_choice(where, "class_embed_type", *c.class_embed_type, kClassEmbeddings));
  ITO_TRY(check_range(where, "num_class_embeds", c.num_class_embeds, 1, 1 << 28));
  ITO_TRY(check_range(where, "num_train_timesteps", c.num_train_timesteps, 1, 1 << 28));
  if (c.time_embedding_type == "learned" && !c.num_train_timesteps)
    return corrupt(
        "{}: key 'num_train_timesteps': expected an integer because time_embedding_type is "
        "\"learned\", found null",
        where);

  // The NCSN++ blocks choose their own groups; all others split every width into norm_num_groups.
  for (size_t i = 0; i < blocks; ++i) {
    bool skip = c.down_block_types[i].find("Skip") != std::string::npos &&
                c.up_block_types[blocks - 1 - i].find("Skip") != std::string::npos;
    if (skip) continue;
    if (!c.norm_num_groups)
      return corrupt("{}: key 'norm_num_groups': null is possible with Skip blocks only", where);
    if (c.block_out_channels[i] % *c.norm_num_groups != 0)
      return corrupt("{}: key 'block_out_channels': {} is no multiple of norm_num_groups {}", where,
                     c.block_out_channels[i], *c.norm_num_groups);
  }
  // Widths that carry attention split into heads of attention_head_dim.
  for (size_t i = 0; i < blocks && c.attention_head_dim; ++i) {
    bool attention = c.down_block_types[i].starts_with("Attn") ||
                     c.up_block_types[blocks - 1 - i].starts_with("Attn") ||
                     (i + 1 == blocks && c.mid_block_type && c.add_attention);
    if (attention && c.block_out_channels[i] % *c.attention_head_dim != 0)
      return unsupported(
          "{}: key 'attention_head_dim': {} does not divide the {} channels of block {}", where,
          *c.attention_head_dim, c.block_out_channels[i], i);
  }
  return {};
}

}  // namespace ito
