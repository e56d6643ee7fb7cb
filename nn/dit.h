// Diffusion transformers (Peebles & Xie 2023): an image as a row of patches, told the time and a
// class by the scales, shifts and gates of its layer norms (adaLN-Zero), with the options and
// parameter names of diffusers' DiTTransformer2DModel. As there, every block has an embedding of
// time and class of its own, and the last layer takes the first block's. Not transformers that
// attend to a context (nn/transformer2d.h).
#pragma once

#include "base/dit_config.h"
#include "nn/network.h"
#include "nn/network_design.h"

namespace ito {

// Its row in nn/networks.h, and a configuration of it as a network. It is told a class where the
// configuration has classes: the last row of the class table is for none.
inline constexpr std::string_view kDiT = "dit";
Result<Network> dit_network(const DiTConfig& config);

// Its design, --network dit: --channels is its width. Of a class table for k classes the last row
// is for none where a training leaves labels out, else the k-th class.
const NetworkTraining& dit_training();

// sample [n,h,w,in_channels], h and w multiples of patch_size; timestep f32 [n]; classes u32 [n] →
// [n,h,w,out_channels]. Places of patches are scaled so that an image of any size spans sample_size
// (as in diffusers, which takes square ones only). In training (nn/dropout.h) config.dropout of an
// attention's output and of the widened tokens is left out. The configuration must pass check_dit
// (CHECK: the shapes).
Tensor dit(const Scope& scope, const DiTConfig& config, Tensor sample, Tensor timestep,
           Tensor classes = {});

}  // namespace ito
