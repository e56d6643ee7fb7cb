// The training task of a denoising diffusion GAN: both networks in one set of parameters and one
// loss whose gradient moves each by its own (diffusion/ddgan.h), so that the session trains it as
// it trains anything else. Not for sampling (api/sampling.h).
#pragma once

#include "api/task.h"

namespace ito {

// Fills in networks, scheduler and loss of a task whose batch shape and classes are set. Errors:
// options that describe no network, images the networks cannot halve.
Status describe_gan(const TrainingOptions& options, int image_channels, TrainingTask& task);

}  // namespace ito
