// ScoreFunction: ∇_x ln p_t(x), all that continuous-time samplers, correctors, likelihoods and
// controls know of a model; and the ways to get one: from a denoiser trained on either side
// (discrete chain or SDE), from an energy by autodiff, or in closed form from a mixture.
#pragma once

#include <functional>

#include "diffusion/denoiser.h"
#include "diffusion/gaussian_mixture.h"
#include "diffusion/parameterization.h"
#include "diffusion/sde.h"

namespace ito {

// (x [n, ...], t f32 [n]: the SDE's time per image) → score, x's shape.
using ScoreFunction = std::function<Tensor(Tensor x, Tensor t)>;

// (x [n, ...], t f32 [n]) → f [n]: an unnormalised ln p_t, whose gradient is the score.
using EnergyFunction = std::function<Tensor(Tensor x, Tensor t)>;

// ∇_x f. May be differentiated again.
ScoreFunction energy_score(EnergyFunction energy);

// The exact score of `mixture` noised by `sde`.
ScoreFunction mixture_score(GaussianMixture mixture, Sde sde);
// Its exact ln p_t, constant included.
EnergyFunction mixture_energy(GaussianMixture mixture, Sde sde);

// f32 [n] as [n, 1, ...], to broadcast against an x of that rank.
Tensor per_image(Tensor values, int rank);

}  // namespace ito
