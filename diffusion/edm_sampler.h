// EDM's sampler: Euler or Heun steps of the probability flow with optional churn, a jump up in
// noise before each step (Karras et al. 2022, algorithm 2), as a Method over the Sde kind kEdm.
#pragma once

#include <limits>

#include "diffusion/method.h"
#include "diffusion/score.h"
#include "diffusion/sde.h"

namespace ito {

struct EdmSamplerOptions {
  int steps = 18;    // N, at least 2
  bool heun = true;  // second order; false: Euler
  double rho = 7;
  double s_churn = 0;  // γ = min(s_churn/N, √2 - 1) where s_min <= t <= s_max, at least 0
  double s_min = 0;
  double s_max = std::numeric_limits<double>::infinity();
  double s_noise = 1;
};

// From x ~ N(0, sigma_max²) at time sigma_max to time 0. One replay is one evaluation of the score,
// so an Euler step is one replay and a Heun step two, the last step being Euler's: 2N - 1 in all
// (Method::steps). The table's column "step" says to which of the N steps a replay belongs.
// Errors name the option.
Result<Method> edm_sampler(const Sde& sde, ScoreFunction score, const EdmSamplerOptions& options);

}  // namespace ito
