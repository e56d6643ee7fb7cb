// diffusers' UNet2DModel (0.40) as a function: every block type, option and parameter name of it,
// in the DDPM (Ho et al. 2020), ADM (Dhariwal and Nichol 2021) and NCSN++ (Song et al. 2021)
// styles. Three things go beyond diffusers, which refuses, cannot run or would misread such a
// configuration: NCSN++ blocks carry images of in_channels (down) and out_channels (up), where
// diffusers has three; time_embedding_type "none" leaves out all noise conditioning (NCSNv2, Song
// and Ermon 2020); and sigma_data preconditions (Karras et al. 2022). Not the cross-attention
// U-Net, and not losses or schedules (diffusion/).
#pragma once

#include "base/unet2d_config.h"
#include "nn/network.h"

namespace ito {

// Its row in nn/networks.h, and a configuration of it as a network.
inline constexpr std::string_view kUNet2D = "unet2d";
Result<Network> unet2d_network(const UNet2DConfig& config);

// The parameters of a configuration, or why it is wrong. They are declared in the order in which
// PyTorch's constructors create them, so a generator that draws in that order gives its weights.
Result<ParameterSet> unet2d_parameters(const UNet2DConfig& config);

// sample [n,h,w,in_channels], timestep [n] (f32 or integer; sigma where takes_sigma(config)) →
// [n,h,w,out_channels].
// class_labels: u32 or i32 [n] where num_class_embeds is set; [n] for class_embed_type "timestep";
// f32 [n, time_embedding_dim] for "identity"; empty where the model has no classes.
// Where a size is odd, upsampling goes to the size of the skip connection it meets.
// In training (nn/dropout.h) config.dropout of what every conv2 takes is left out.
// The configuration must pass check_unet2d, the size check_unet2d_size (CHECK).
Tensor unet2d(const Scope& scope, const UNet2DConfig& config, Tensor sample, Tensor timestep,
              Tensor class_labels = {});

}  // namespace ito
