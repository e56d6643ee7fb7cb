// Implicit and sliced score matching of the noised data of a process: the score of p_t is learned
// from x_t alone, without knowing which image and noise it is made of, where continuous_dsm_loss
// (diffusion/score_matching.h) regresses on that noise. The same minimiser, by Hyvärinen's and
// Song's objectives, and gradients of gradients.
#pragma once

#include <cstdint>

#include "diffusion/score_matching.h"

namespace ito {

enum class ScoreEstimator : uint8_t {
  kImplicit,               // tr ∂s + ½|s|² with the exact trace: D evaluations
  kSliced,                 // vᵀ∂s v + ½(vᵀs)²
  kSlicedVarianceReduced,  // vᵀ∂s v + ½|s|²
};

// Whether it projects; the others take no projections.
bool projects(ScoreEstimator estimator);

// Largest image, in elements, whose exact trace is taken.
inline constexpr int64_t kMaxImplicitElements = 256;

// λ(t) times the objective at x_t = mean(t) x0 + std(t) noise, with λ = std², per element of an
// image (as continuous_dsm_loss with reduce_mean, which it equals, in expectation and up to a
// constant, at half its scale). t f32 [n]; projections [m, n, ...] with E vvᵀ = I, not looked at by
// kImplicit.
ScoreLoss noised_score_matching(ScoreEstimator estimator, Tensor x0, Tensor t, Tensor noise,
                                Tensor projections, const Sde& sde, const ScoreFunction& score);

}  // namespace ito
