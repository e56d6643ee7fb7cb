// Quadratic forms of a score's Jacobian and its trace, the divergence: what implicit and sliced
// score matching minimise and what the probability flow integrates. Jacobians are never formed; a
// form is one product with a vector. Not the integration along time.
#pragma once

#include "diffusion/score.h"

namespace ito {

// vᵀ (∂s/∂x) v per image → f32 [n], for a score s [n, ...] that was computed from x, and v, both
// [n, ...]. Several forms of one score share its forward pass.
Tensor quadratic_form(Tensor score, Tensor x, Tensor v);

// The same for m vectors per image, v [m, n, ...] → f32 [m, n]: all at once, as m copies of the
// batch.
Tensor quadratic_forms(Tensor x, Tensor t, Tensor v, const ScoreFunction& score);

// tr(∂s/∂x) per image → f32 [n], exactly, by one form for each of an image's elements.
Tensor exact_divergence(Tensor x, Tensor t, const ScoreFunction& score);

// x repeated m times along its first axis: [m * n, ...], copies one after the other.
Tensor repeat_batch(Tensor x, int64_t m);

// Sum over everything but the first axis: [n, ...] → [n].
Tensor sum_per_image(Tensor x);

}  // namespace ito
