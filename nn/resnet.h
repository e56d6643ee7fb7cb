// Residual blocks conditioned on a time embedding, with or without resampling inside: diffusers'
// ResnetBlock2D and its parameter names (norm1, conv1, time_emb_proj, norm2, conv2, conv_shortcut).
// Not attention and not the U-Net's wiring.
#pragma once

#include <string>

#include "nn/layers.h"

namespace ito {

enum class Resample : uint8_t {
  kNone,
  kDown,     // 2x2 mean before conv1 and on the shortcut
  kUp,       // nearest neighbour, likewise
  kFirDown,  // kernel [1,3,3,1], likewise (NCSN++)
  kFirUp,
};

struct ResnetOptions {
  int64_t groups = 32;
  int64_t groups_out = 0;  // of norm2; 0: as groups
  double eps = 1e-5;
  std::string act_fn = "silu";
  bool scale_shift = false;  // the embedding scales and shifts norm2's output, else it is added
  double output_scale_factor = 1;  // the sum of both branches is divided by it
  Resample resample = Resample::kNone;
  std::array<int64_t, 2> up_size = {0, 0};  // kUp: height and width to reach; 0: twice the input's
  bool always_shortcut_conv = false;        // else only where the channel count changes
  double dropout = 0;                       // before conv2, in training
};

// x [n,h,w,ci], embedding [n,e] or empty (then there is no time_emb_proj) → [n,h',w',channels].
Tensor resnet_block(const Scope& scope, Tensor x, Tensor embedding, int64_t channels,
                    const ResnetOptions& options);

}  // namespace ito
