// The JSON forms of UNet2DConditionConfig and AutoencoderKLConfig.
#include "base/error.h"
#include "base/latent_config.h"
#include "io/config_keys.h"
#include "io/network_configs.h"

namespace ito {
namespace {

#define ITO_KEY(field) key<UNet2DConditionConfig, &UNet2DConditionConfig::field>(#field)
#define ITO_LEVEL_KEY(field) level_key<UNet2DConditionConfig, &UNet2DConditionConfig::field>(#field)
constexpr Key<UNet2DConditionConfig> kConditionKeys[] = {
    ITO_KEY(sample_size),
    ITO_KEY(in_channels),
    ITO_KEY(out_channels),
    ITO_KEY(center_input_sample),
    ITO_KEY(flip_sin_to_cos),
    ITO_KEY(freq_shift),
    ITO_KEY(down_block_types),
    ITO_KEY(mid_block_type),
    ITO_KEY(up_block_types),
    ITO_KEY(block_out_channels),
    ITO_LEVEL_KEY(layers_per_block),
    ITO_KEY(downsample_padding),
    ITO_KEY(mid_block_scale_factor),
    ITO_KEY(dropout),
    ITO_KEY(act_fn),
    ITO_KEY(norm_num_groups),
    ITO_KEY(norm_eps),
    ITO_LEVEL_KEY(cross_attention_dim),
    ITO_LEVEL_KEY(transformer_layers_per_block),
    ITO_LEVEL_KEY(attention_head_dim),
    ITO_KEY(use_linear_projection),
    ITO_KEY(num_class_embeds),
    ITO_KEY(upcast_attention),
    ITO_KEY(resnet_time_scale_shift),
    ITO_KEY(time_embedding_dim),
    ITO_KEY(time_cond_proj_dim),
    ITO_KEY(conv_in_kernel),
    ITO_KEY(conv_out_kernel),
};
#undef ITO_LEVEL_KEY
#undef ITO_KEY

constexpr FixedKey kConditionFixed[] = {
    {"only_cross_attention", "false"},
    {"mid_block_only_cross_attention", "null"},
    {"dual_cross_attention", "false"},
    {"cross_attention_norm", "null"},
    {"reverse_transformer_layers_per_block", "null"},
    {"num_attention_heads", "null"},
    {"encoder_hid_dim", "null"},
    {"encoder_hid_dim_type", "null"},
    {"class_embed_type", "null"},
    {"class_embeddings_concat", "false"},
    {"addition_embed_type", "null"},
    {"attention_type", "\"default\""},
    {"resnet_skip_time_act", "false"},
    {"resnet_out_scale_factor", "1.0"},
    {"time_embedding_type", "\"positional\""},
    {"time_embedding_act_fn", "null"},
    {"timestep_post_act", "null"},
};

#define ITO_KEY(field) key<AutoencoderKLConfig, &AutoencoderKLConfig::field>(#field)
constexpr Key<AutoencoderKLConfig> kAutoencoderKeys[] = {
    ITO_KEY(in_channels),    ITO_KEY(out_channels),        ITO_KEY(down_block_types),
    ITO_KEY(up_block_types), ITO_KEY(block_out_channels),  ITO_KEY(layers_per_block),
    ITO_KEY(act_fn),         ITO_KEY(latent_channels),     ITO_KEY(norm_num_groups),
    ITO_KEY(sample_size),    ITO_KEY(scaling_factor),      ITO_KEY(shift_factor),
    ITO_KEY(use_quant_conv), ITO_KEY(use_post_quant_conv), ITO_KEY(mid_block_add_attention),
};
#undef ITO_KEY

constexpr FixedKey kAutoencoderFixed[] = {{"latents_mean", "null"}, {"latents_std", "null"}};

}  // namespace

Status check_fixed_keys(const Json& json, const std::string& where,
                        std::span<const FixedKey> keys) {
  for (const FixedKey& key : keys) {
    if (!json.contains(key.name)) continue;
    const Json &found = json[key.name], only = Json::parse(key.value);
    const auto off = [](const Json& value) { return value.is_null() || value == false; };
    if (found == only || (off(found) && off(only))) continue;
    return unsupported("{}: key '{}': expected {}, which alone is implemented, found {}", where,
                       key.name, key.value, describe_json(found));
  }
  return {};
}

Result<UNet2DConditionConfig> parse_unet_condition_config(const Json& json,
                                                          const std::string& where) {
  return parse_keys<UNet2DConditionConfig>(json, where, kConditionKeys, kConditionFixed,
                                           check_unet2d_condition);
}

Json unet_condition_config_json(const UNet2DConditionConfig& config) {
  return write_keys<UNet2DConditionConfig>(config, kConditionKeys);
}

Result<AutoencoderKLConfig> parse_autoencoder_config(const Json& json, const std::string& where) {
  return parse_keys<AutoencoderKLConfig>(json, where, kAutoencoderKeys, kAutoencoderFixed,
                                         check_autoencoder_kl);
}

Json autoencoder_config_json(const AutoencoderKLConfig& config) {
  return write_keys<AutoencoderKLConfig>(config, kAutoencoderKeys);
}

}  // namespace ito
