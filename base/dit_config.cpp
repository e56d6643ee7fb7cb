#include "base/dit_config.h"

#include <cmath>
#include <string_view>

#include "base/error.h"
#include "base/unet2d_config.h"

namespace ito {
namespace {

constexpr std::string_view kApproximateGelu = "gelu-approximate";
constexpr std::string_view kDiTActivations[] = {kApproximateGelu, "gelu"};
constexpr int64_t kMostLayers = 1024, kMostClasses = 1 << 20;

}  // namespace

bool has_approximate_gelu(const DiTConfig& config) {
  return config.activation_fn == kApproximateGelu;
}

Status check_dit(const DiTConfig& c) {
  ITO_TRY(check_count("sample_size", c.sample_size, config_limits::kChannels));
  ITO_TRY(check_count("in_channels", c.in_channels, config_limits::kChannels));
  if (c.out_channels)
    ITO_TRY(check_count("out_channels", *c.out_channels, config_limits::kChannels));
  ITO_TRY(check_count("patch_size", c.patch_size, c.sample_size));
  ITO_TRY(check_count("num_layers", c.num_layers, kMostLayers));
  ITO_TRY(check_count("num_attention_heads", c.num_attention_heads, config_limits::kChannels));
  ITO_TRY(check_count("attention_head_dim", c.attention_head_dim, config_limits::kChannels));
  ITO_TRY(check_count("num_attention_heads times attention_head_dim", dit_width(c),
                      config_limits::kChannels));
  // Sine and cosine of two places.
  if (dit_width(c) % 4 != 0)
    return invalid_argument(
        "num_attention_heads times attention_head_dim: expected a multiple of 4, found {}",
        dit_width(c));
  ITO_TRY(check_one_of("activation_fn", c.activation_fn, kDiTActivations));
  ITO_TRY(check_dropout(c.dropout));
  if (c.num_embeds_ada_norm < 0 || c.num_embeds_ada_norm > kMostClasses)
    return invalid_argument("num_embeds_ada_norm: expected 0 to {}, found {}", kMostClasses,
                            c.num_embeds_ada_norm);
  if (!(c.norm_eps > 0) || !std::isfinite(c.norm_eps))
    return invalid_argument("norm_eps: expected a positive number, found {}", c.norm_eps);
  return {};
}

}  // namespace ito
