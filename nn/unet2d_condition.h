// diffusers' UNet2DConditionModel as a function: the U-Net that attends to a context (Rombach et
// al. 2022), as Stable Diffusion 1 and 2, their inpainting forms (more input channels) and latent
// consistency models (an embedded guidance scale) use it. Not the text encoders that make a
// context, not the additional embeddings of SDXL, and not the plain U-Net (nn/unet2d.h).
#pragma once

#include "base/latent_config.h"
#include "nn/network.h"

namespace ito {

// Its row in nn/networks.h, and a configuration of it as a network.
inline constexpr std::string_view kUNet2DCondition = "unet2d_condition";
Result<Network> unet2d_condition_network(const UNet2DConditionConfig& config);

// sample [n,h,w,in_channels], timestep [n], context f32 [n,l,cross_attention_dim], and where the
// configuration has them class indices [n] and the guidance embedding f32 [n,time_cond_proj_dim] →
// [n,h,w,out_channels]. Where a size is odd, upsampling goes to the size of the skip connection it
// meets. In training (nn/dropout.h) config.dropout of what every conv2 takes is left out, and of
// the transformers nothing, as in diffusers. The configuration must pass check_unet2d_condition
// (CHECK).
Tensor unet2d_condition(const Scope& scope, const UNet2DConditionConfig& config, Tensor sample,
                        Tensor timestep, const Conditioning& conditioning);

}  // namespace ito
