// Score-matching objectives as graph functions: what a ScoreFunction (a score network, or the
// gradient of an energy network by energy_score) minimises to become ∇ ln p. Implicit and sliced
// score matching need only data; denoising score matching, at one noise level, over a ladder or in
// continuous time, needs noise; the Fisher divergence needs the truth and measures them all.
// All are differentiable in whatever the score closes over: through implicit and sliced score
// matching a gradient of a gradient, for energies one order more.
// Not the discrete-time losses of ε, x_0 and v (diffusion/loss.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "diffusion/score.h"
#include "diffusion/sde.h"

namespace ito {

// In what follows x is [n, ...], D the number of elements of an image, and t f32 [n] is handed to
// the score as it is.
struct ScoreLoss {
  Tensor loss;       // f32 []: mean of per_image
  Tensor per_image;  // f32 [n]
};

// ½|s(x,t) - s*(x,t)|², whose mean over data is the Fisher divergence from the distribution with
// score s* (Hyvärinen 2005, eq. 2).
ScoreLoss fisher_divergence(Tensor x, Tensor t, const ScoreFunction& score,
                            const ScoreFunction& truth);

// tr(∂s/∂x) + ½|s|² with the exact trace (Hyvärinen 2005, theorem 1, eq. 4): the Fisher divergence
// less ½E|s*|², which is constant. Costs D evaluations of the score: for low dimensions.
ScoreLoss implicit_score_matching(Tensor x, Tensor t, const ScoreFunction& score);

// vᵀ(∂s/∂x)v + ½(vᵀs)², or, if variance_reduced, vᵀ(∂s/∂x)v + ½|s|², averaged over the projections
// v [m, n, ...] (Song, Garg, Shi, Ermon 2019, eqs. 7 and 8). E vvᵀ must be the identity.
ScoreLoss sliced_score_matching(Tensor x, Tensor t, Tensor projections, bool variance_reduced,
                                const ScoreFunction& score);

// ½|s(x0 + σ z, t) + z/σ|², z = noise (Vincent 2011, eq. 11): its minimiser is the score of the
// data smoothed with N(0, σ²).
ScoreLoss denoising_score_matching(Tensor x0, Tensor t, Tensor noise, double sigma,
                                   const ScoreFunction& score);

// The same with a noise level per image, sigma f32 [n], weighted by λ(σ) = σ²: ½|σ s + z|² (Song &
// Ermon 2019, eqs. 5 and 6).
ScoreLoss ladder_score_matching(Tensor x0, Tensor t, Tensor noise, Tensor sigma,
                                const ScoreFunction& score);

enum class ScoreWeighting : uint8_t {
  kStd2,        // λ(t) = std(t)²
  kLikelihood,  // λ(t) = g(t)² (Song, Durkan, Murray, Ermon 2021, theorem 1)
};

enum class TimeSampling : uint8_t {
  kUniform,
  // Density proportional to g²/std², under which likelihood weighting has the variance of kStd2
  // (Song, Durkan, Murray, Ermon 2021, section 4.3).
  kImportance,
};

struct ContinuousLoss {
  ScoreWeighting weighting = ScoreWeighting::kStd2;
  TimeSampling sampling = TimeSampling::kUniform;  // how t was drawn; kImportance: kLikelihood only
  bool reduce_mean = false;  // mean over an image's elements instead of half their sum
  double start = 0;          // times are drawn from [start, sde.end()]; 0: from sde.start()
};
// Errors: 0 <= start < sde.end(); kImportance goes with kLikelihood.
Status check_continuous_loss(const ContinuousLoss& options, const Sde& sde);

// λ(t) ½|s(x_t, t) + z/std|², x_t = mean(t) x0 + std(t) z, z = noise, t f32 [n] in (0, sde.end()]
// (Song et al. 2021, eq. 7; reduce_mean: the mean of squares in place of half the sum). With
// importance sampling each term is divided by the density of its t relative to the uniform one, so
// that the expectation is the same.
ScoreLoss continuous_dsm_loss(Tensor x0, Tensor t, Tensor noise, const Sde& sde,
                              const ScoreFunction& score, const ContinuousLoss& options = {});

// Random numbers of the objectives, drawn on the device. key u32 [2]; image u32 [n], the place of
// each example in the whole batch, so that a split batch draws the same; step u32 [], the training
// step. Noise and times come from the streams of diffusion/streams.h.

// Standard normal noise for images of `shape` [n, ...].
Tensor draw_score_noise(const Shape& shape, Tensor key, Tensor image, Tensor step);

// The time below which a share u (f32, any shape, in (0, 1)) of all drawn times lies: their
// distribution's quantile function.
Tensor time_quantile(const Sde& sde, Tensor u, const ContinuousLoss& options = {});

// t f32 [n] for continuous_dsm_loss with the same options.
Tensor draw_times(const Sde& sde, Tensor key, Tensor image, Tensor step,
                  const ContinuousLoss& options = {});

// One noise level per image, uniform over the ladder's levels (at most 65536).
struct LadderDraw {
  Tensor level;  // u32 [n]
  Tensor sigma;  // f32 [n]: ladder[level]
};
LadderDraw draw_ladder(const std::vector<double>& ladder, Tensor key, Tensor image, Tensor step);

enum class Projection : uint8_t { kGaussian, kRademacher };
// m projections [m, n, ...] for images of `shape` [n, ...]: standard normal, or signs.
Tensor draw_projections(Projection kind, int64_t m, const Shape& shape, Tensor key, Tensor image,
                        Tensor step);

}  // namespace ito
