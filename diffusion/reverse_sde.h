// The two processes that run an Sde backwards, given the score s(x, t): the time reversal
// dx = [f - g² s] dt + g dw̄, and the probability flow dx = [f - g² s/2] dt, which has no noise and
// the same marginals. Both drifts are linear in x and in s, so two numbers per time say all.
// Drifts only; stepping is diffusion/predictor_corrector.h and the ODE solvers.
#pragma once

#include "diffusion/sde.h"

namespace ito {

// dx/dt = on_x x + on_score s(x, t). T: double, or Tensor f32 of the times' shape.
template <typename T>
struct ReverseDrift {
  T on_x;
  T on_score;
};

// c(t), -g(t)²: the time reversal (Anderson 1982; Song et al. 2021, eq. 6). It runs from end()
// down: dt < 0.
ReverseDrift<double> reverse_drift(const Sde& sde, double t);

// c(t), -g(t)²/2: the probability-flow ODE (Song et al. 2021, eq. 13; of EDM, whose c is 0 and
// g²/2 = t, Karras et al. 2022, eq. 1).
ReverseDrift<double> probability_flow_drift(const Sde& sde, double t);
ReverseDrift<Tensor> probability_flow_drift(const Sde& sde, Tensor t);

}  // namespace ito
