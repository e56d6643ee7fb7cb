// The JSON form of DiTConfig.
#include "io/config_keys.h"
#include "io/network_configs.h"

namespace ito {
namespace {

#define ITO_KEY(field) key<DiTConfig, &DiTConfig::field>(#field)
constexpr Key<DiTConfig> kDiTKeys[] = {
    ITO_KEY(sample_size),
    ITO_KEY(in_channels),
    ITO_KEY(out_channels),
    ITO_KEY(patch_size),
    ITO_KEY(num_layers),
    ITO_KEY(num_attention_heads),
    ITO_KEY(attention_head_dim),
    ITO_KEY(attention_bias),
    ITO_KEY(activation_fn),
    ITO_KEY(dropout),
    ITO_KEY(num_embeds_ada_norm),
    ITO_KEY(norm_elementwise_affine),
    ITO_KEY(norm_eps),
};
#undef ITO_KEY

constexpr const char* kNormType = "norm_type";
constexpr FixedKey kDiTFixed[] = {{kNormType, "\"ada_norm_zero\""}};

}  // namespace

Result<DiTConfig> parse_dit_config(const Json& json, const std::string& where) {
  return parse_keys<DiTConfig>(json, where, kDiTKeys, kDiTFixed, check_dit);
}

Result<DiTConfig> parse_transformer2d_config(const Json& json, const std::string& where) {
  if (json.is_object() && !json.contains(kNormType))
    return unsupported("{}: key '{}' is missing, expected {}, which alone is implemented", where,
                       kNormType, kDiTFixed[0].value);
  return parse_dit_config(json, where);
}

Json dit_config_json(const DiTConfig& config) { return write_keys<DiTConfig>(config, kDiTKeys); }

}  // namespace ito
