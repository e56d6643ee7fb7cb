// DiTConfig: the configuration of a diffusion transformer (nn/dit.h), a plain struct, and the check
// of its values. Field names, meanings and defaults are those of diffusers 0.40's
// DiTTransformer2DModel. Not its JSON form (io).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace ito {

struct DiTConfig {
  int sample_size = 32;  // side of the images whose patches' places are whole numbers
  int in_channels = 4;
  std::optional<int> out_channels;  // empty: in_channels; twice as many give a variance too
  int patch_size = 2;
  int num_layers = 28;
  int num_attention_heads = 16;
  int attention_head_dim = 72;
  bool attention_bias = true;  // of queries, keys and values
  std::string activation_fn = "gelu-approximate";
  double dropout = 0;
  // Classes; the class tables have one row more, the last, for no class. 0: the network is told
  // none.
  int num_embeds_ada_norm = 1000;
  // Of the norm before the feed-forward networks.
  bool norm_elementwise_affine = false;
  double norm_eps = 1e-5;

  // Keys this struct does not know (and _diffusers_version): key → JSON text, written back as read.
  std::map<std::string, std::string> extra;

  bool operator==(const DiTConfig&) const = default;
};

// Channels of a token.
inline int64_t dit_width(const DiTConfig& config) {
  return int64_t{config.num_attention_heads} * config.attention_head_dim;
}

// Whether activation_fn is GELU's approximation by tanh; else it is GELU itself.
bool has_approximate_gelu(const DiTConfig& config);

// Whether it describes a network; the error names the field, expected and found.
Status check_dit(const DiTConfig& config);

}  // namespace ito
