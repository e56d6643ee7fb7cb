// DDPM ancestral sampling (Ho et al. 2020, algorithm 2), strided as in Nichol & Dhariwal 2021, with
// every variance of diffusers' DDPMScheduler.
#pragma once

#include "base/config.h"
#include "base/result.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

namespace ito {

// x ← on_x x + on_x0 x̂_0 + std z, the posterior of diffusion/posterior.h with x̂_0 (clipped or
// thresholded as the config says) in place of x_0. No noise at timestep 0. With variance_type
// learned or learned_range the network must output 2c channels; the last c are the variance.
// Errors: any value of the config that is unknown or out of range; more steps than timesteps; a
// prediction type that cannot be used where ᾱ = 0 (zero terminal SNR with epsilon).
Result<Sampler> ddpm_sampler(const SchedulerConfig& config, const TimestepChoice& choice,
                             Arithmetic arithmetic = Arithmetic::kFloat32AsDiffusers);

}  // namespace ito
