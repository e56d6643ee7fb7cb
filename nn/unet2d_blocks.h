// The down, middle and up blocks of UNet2DModel: which residual blocks, attentions and samplers one
// block name stands for. Not the embedding and not the order of blocks (nn/unet2d.h).
#pragma once

#include <vector>

#include "base/unet2d_config.h"
#include "nn/scope.h"

namespace ito {

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
