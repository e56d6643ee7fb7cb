// The JSON form of UNet2DConfig.
#include "base/error.h"
#include "base/unet2d_config.h"
#include "io/config_keys.h"
#include "io/diffusers.h"
#include "io/network_configs.h"

namespace ito {
namespace {

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

}  // namespace

Result<UNet2DConfig> parse_unet_config(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject o, JsonObject::open(json, where));
  o.find("_class_name");  // judged by who chose this reader (io/network_file.cpp)
  UNet2DConfig c;
  for (const Key<UNet2DConfig>& key : kUnetKeys) ITO_TRY(key.read(o, key.name, &c));
  ITO_TRY(o.read("sigma_data", &c.sigma_data));
  ITO_TRY(o.read("energy", &c.energy));
  c.down_block_types = modern_blocks(std::move(c.down_block_types));
  c.up_block_types = modern_blocks(std::move(c.up_block_types));
  for (const std::string& key : o.unknown_keys()) c.extra[key] = dump_json_line(json[key]);
  const Status valid = check_unet2d(c);
  if (!valid.ok()) return file_error(valid.error(), where);
  return c;
}

Json unet_config_json(const UNet2DConfig& c) {
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : c.extra) json[key] = parse_extra(text);
  for (const Key<UNet2DConfig>& key : kUnetKeys) json[key.name] = key.write(c);
  // Left out where it is not used: diffusers does not know it.
  if (c.sigma_data) json["sigma_data"] = *c.sigma_data;
  if (c.energy) json["energy"] = *c.energy;
  return json;
}

}  // namespace ito
