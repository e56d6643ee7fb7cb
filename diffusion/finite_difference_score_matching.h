// Sliced score matching by finite differences (FD-SSM; Pang, Xu, Li, Song, Ermon, Zhu 2020): the
// score at both ends of a short step along each slice, in place of its derivative at the middle.
// No gradient by x is taken, so that a training costs two evaluations per slice and their gradient,
// where sliced score matching (diffusion/score_matching.h) needs the gradient of a gradient.
#pragma once

#include "diffusion/score_matching.h"

namespace ito {

// vᵀ(s₊ - s₋)/(2h) + ½(vᵀ(s₊ + s₋)/2)², s± = s(x ± h v, t), averaged over the projections v
// [m, n, ...], with h f32 [n] more than 0 and E vvᵀ = I. The paper's section 4 with ε = h|v|: there
// of ln p at x, x + hv and x - hv, whose sum of the outer less twice the middle is h² vᵀ(∂s)v and
// whose difference of the outer 2h vᵀs; of a score both are what stands here, divided by h².
// By Taylor's formula this is sliced_score_matching (not variance_reduced) and O(h²), and for an
// affine score nothing more. So among affine scores, of which Gaussian data have one, the minimum
// is that of the sliced form at any h.
ScoreLoss finite_difference_score_matching(Tensor x, Tensor t, Tensor projections, Tensor h,
                                           const ScoreFunction& score);

// h of noised data in standard deviations of the noise, on whose scale p_t is smooth. The bias is
// of the order of its square; of a difference f32 leaves all but 1e-7 over it.
inline constexpr double kFiniteDifferenceStep = 0.1;

// The same of a process's noised data, as noised_score_matching
// (diffusion/noised_score_matching.h): at x_t = mean(t) x0 + std(t) noise, times λ(t) = std² and
// per element of an image.
ScoreLoss noised_finite_difference_score_matching(Tensor x0, Tensor t, Tensor noise,
                                                  Tensor projections, const Sde& sde,
                                                  const ScoreFunction& score);

}  // namespace ito
