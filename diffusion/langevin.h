// Langevin dynamics on a score network, an energy or a closed-form density, as Methods: thousands
// of steps replay without the host (diffusion/method.h). Not over a ladder of noise levels
// (diffusion/annealed_langevin.h).
#pragma once

#include "diffusion/method.h"
#include "diffusion/score.h"

namespace ito {

struct LangevinOptions {
  double step_size = 1e-2;  // η, positive
  int steps = 1000;         // Method::steps; the chain may be replayed for longer
  double time = 0;          // what the score or energy is given as its time
  bool noise = true;        // false: gradient ascent on ln p; unadjusted only
};

// Unadjusted Langevin: x + (η/2) s(x) + √η z (Roberts & Tweedie 1996; Welling & Teh 2011, eq. 3).
// On N(μ, s²) it converges if η < 4 s², to the variance s²/(1 - η/(4 s²)): a bias of order η.
// Errors name the option.
Result<Method> langevin(ScoreFunction score, const LangevinOptions& options);

// Metropolis-adjusted: the same move as a proposal, accepted with probability min(1, p(x') q(x|x')
// / (p(x) q(x'|x))), so that p is left invariant exactly (Roberts & Tweedie 1996).
// log_density may lack its constant. A proposal whose density is not a number is refused.
// States: "score" and "log_density" of x, which method_start_program sets, so that a step evaluates
// once; "accepted", f32 [n]: moves accepted so far (exact to 2^24 steps), so that the acceptance
// rate is accepted/steps. Errors name the option.
Result<Method> metropolis_langevin(EnergyFunction log_density, const LangevinOptions& options);

}  // namespace ito
