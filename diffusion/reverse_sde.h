// The two processes that run an Sde backwards, given the score: dx = [f - g² s] dt + g dw̄, and the
// probability flow dx = [f - g² s/2] dt, which has no noise and the same marginals.
// Drifts only; stepping is diffusion/predictor_corrector.h and the ODE solvers.
#pragma once

#include "diffusion/score.h"
#include "diffusion/sde.h"

namespace ito {

// f(x, t) - g(t)² s(x, t): the drift of the time reversal (Anderson 1982; Song et al. 2021, eq. 6).
// x [n, ...], t f32 [n] → x's shape. The process runs from end() down: dt < 0.
Tensor reverse_drift(const Sde& sde, const ScoreFunction& score, Tensor x, Tensor t);

// f(x, t) - g(t)² s(x, t)/2: the drift of the probability-flow ODE (Song et al. 2021, eq. 13).
Tensor probability_flow_drift(const Sde& sde, const ScoreFunction& score, Tensor x, Tensor t);

}  // namespace ito
