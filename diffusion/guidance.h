// Classifier guidance: samplers are steered towards p(x | y) ∝ p(x) p(y | x)^scale by adding
// scale ∇_x log p_t(y | x_t) to the score. The gradient is taken by autodiff inside the step's
// graph. Works on anything that gives log p_t(y | x_t): a trained classifier, the exact posterior
// of a mixture, the likelihood of a measurement. Classifier-free guidance,
// which mixes two outputs of one network, is here too.
#pragma once

#include <functional>

#include "diffusion/denoiser.h"
#include "diffusion/gaussian_mixture.h"
#include "diffusion/marginal.h"
#include "diffusion/parameterization.h"
#include "diffusion/score.h"

namespace ito {

// (x [n, ...], t f32 [n]) → log p_t(y | x) of each image for the y that it closes over, f32 [n];
// each image's value depends on that image alone.
using LogProbability = std::function<Tensor(Tensor x, Tensor t)>;

// The denoiser whose noise prediction is ε̂ = ε - scale std ∇_x log p(y | x_t) (Dhariwal & Nichol
// 2021, algorithm 2), whatever the prediction means; a learned variance (the last half of 2c
// channels) is left alone. In a DDPM step this moves the mean by β_t/√α_t scale ∇ log p, which is
// algorithm 1 with Σ = β_t, up to the factor 1/√α_t.
Denoiser guided_denoiser(Denoiser denoiser, Prediction prediction, MarginalFunction marginal,
                         LogProbability log_probability, double scale);

// score + scale ∇_x log p_t(y | x) (Song et al. 2021, Score-Based Generative Modeling through
// SDEs, eq. 14).
ScoreFunction guided_score(ScoreFunction score, LogProbability log_probability, double scale);

// u + scale (c - u) of a network's outputs with (c) and without (u) the condition, images first
// (Ho & Salimans 2022, eq. 6). rescale moves each image's deviation towards that of c: the share
// `rescale` of the result is scaled to std(c) (Lin et al. 2023, eq. 15, 16).
Tensor classifier_free_guidance(Tensor conditional, Tensor unconditional, double scale,
                                double rescale);

// The exact log p_t(k | x_t) of a mixture whose component k is the class k: labels u32 [n].
LogProbability mixture_class_log_probability(GaussianMixture mixture, MarginalFunction marginal,
                                             Tensor labels);

}  // namespace ito
