// Denoiser: all that the diffusion mathematics knows of a network.
// Parameters, class labels and guidance are the business of whoever makes one; a denoiser that
// needs further inputs adds them to x.graph().
#pragma once

#include <functional>

#include "graph/graph.h"

namespace ito {

// (x [n,h,w,c], t f32 [n]: training timestep per image) → prediction [n,h,w,c], or [n,h,w,2c] for a
// model with learned variance, whose last c channels are the variance.
using Denoiser = std::function<Tensor(Tensor x, Tensor t)>;

}  // namespace ito
