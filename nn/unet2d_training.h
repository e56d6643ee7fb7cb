// The U-Nets that a training makes of options: DDPM's, NCSN++ and NCSNv2, as designs of
// nn/network_design.h. Not the network (nn/unet2d.h) and not what a configuration may say
// (base/unet2d_config.h).
#pragma once

#include "base/config.h"
#include "nn/network_design.h"

namespace ito {

const NetworkTraining& unet2d_training();

// DDPM's: residual blocks, and attention at the innermost level only.
UNet2DConfig plain_unet2d(const NetworkOptions& options, const ImageNeeds& needs);

}  // namespace ito
