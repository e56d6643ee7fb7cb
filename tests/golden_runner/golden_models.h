// The two models of the golden schedulers' trajectories, as graph functions.
#pragma once

#include "diffusion/denoiser.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"
#include "tests/golden_runner/case.h"

namespace ito::golden {

// x t / (t + 1).
Denoiser dummy_model();

// The exact prediction for data from a mixture of Gaussians with diagonal covariances, at
// x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε: means and variances [k,d], weights [k], x [n,...,d] with extents of
// 1 between. Reads gmm.means, gmm.vars and gmm.weights of the case.
Result<Denoiser> mixture_model(const Case& golden, const NoiseSchedule& schedule,
                               Prediction prediction);

// The same with tanh(x) appended as the variance channels.
Denoiser with_variance(Denoiser model);

}  // namespace ito::golden
