// DDIM sampling with any η, and its inversion from data to noise (Song et al. 2021).
#pragma once

#include "base/config.h"
#include "base/result.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

namespace ito {

struct DdimOptions {
  double eta = 0;  // 0: deterministic; 1: the variance of DDPM (eq. 16)
  // Derive ε anew from the clipped x_0 instead of using the network's.
  bool use_clipped_model_output = false;
};

// x ← √ᾱ' x̂_0 + √(1 - ᾱ' - σ²) ε̂ + σ z (eq. 12), ᾱ' = ᾱ at t - ⌊T/steps⌋ (at the next timestep of
// an explicit list), σ² = η² ddim_variance. Before timestep 0, ᾱ' is 1 if config.set_alpha_to_one,
// else ᾱ_0. The config's variance_type only says whether the network has variance channels, which
// are ignored. Errors as ddpm_sampler's, and η outside [0, 1].
Result<Sampler> ddim_sampler(const SchedulerConfig& config, const TimestepChoice& choice,
                             const DdimOptions& options = {},
                             Arithmetic arithmetic = Arithmetic::kFloat32AsDiffusers);

// The η = 0 step run upwards, from an image to the noise that would give it (diffusers'
// DDIMInverseScheduler): timesteps ascend; the step at t goes from ᾱ at t - ⌊T/steps⌋ to ᾱ_t.
// Spacing leading or trailing. x is x_0 at the start; thresholding is not used.
Result<Sampler> ddim_inverse_sampler(const SchedulerConfig& config, const TimestepChoice& choice,
                                     Arithmetic arithmetic = Arithmetic::kFloat32AsDiffusers);

}  // namespace ito
