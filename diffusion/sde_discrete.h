// The N-step chains that the SDEs are limits of: their noise levels σ_i, β_i, and the transition
// x_{i+1} = x_i + f_i + G_i z from a time on. Tables of host numbers for samplers and correctors.
// Not the continuous values (diffusion/sde.h) and not diffusers' schedules (diffusion/schedule.h).
#pragma once

#include <vector>

#include "base/result.h"
#include "diffusion/sde.h"

namespace ito {

// σ_i = σ_min (σ_max/σ_min)^{i/(N-1)}, i = 0 .. N-1, ascending: VE (Song et al. 2021, appendix C)
// and the ladder of an NCSN. steps >= 2.
std::vector<double> discrete_sigmas(const Sde& sde, int steps);

// β_i = (β_min + (β_max - β_min) i/(N-1)) / N, i = 0 .. N-1: VP and sub-VP (Song et al. 2021,
// appendix C). steps >= 2.
std::vector<double> discrete_betas(const Sde& sde, int steps);

// The table's row at time t in [0, 1]: ⌊t (N-1)⌋.
int discrete_index(double t, int steps);

// x_{i+1} = x_i + on_x x_i + noise z.
struct DiscreteStep {
  double on_x = 0;
  double noise = 0;
};

// The forward chain's step at time t of N steps.
//   VE      0, √(σ_i² - σ_{i-1}²), σ_{-1} = 0  (Song et al. 2021, eq. 8)
//   VP      √(1-β_i) - 1, √β_i                 (eq. 10)
//   sub-VP  f(t)/N, g(t)/√N                    (Euler-Maruyama of eq. 12: no chain of its own)
// CHECK: not for EDM, whose steps are not uniform in t.
DiscreteStep discretize(const Sde& sde, double t, int steps);

// One step of a process run backwards.
struct Interval {
  double t = 0;
  double next = 0;  // where the process is after the step, as far as Δt is concerned
};

// `steps` intervals from sde.end() down: evenly spaced times, the last of them `last` (0: that of
// sde.start()), or EDM's levels of shape rho down to 0. Errors: edm_time_steps'.
Result<std::vector<Interval>> reverse_intervals(const Sde& sde, int steps, double last, double rho);

// The forward chain's step over an interval: discretize's, of EDM the variance that lies between.
DiscreteStep forward_step(const Sde& sde, const Interval& interval, int steps);

// x_{i-1} = on_x x_i + on_score s + noise z: the chain's own posterior (Song et al. 2021, VE eq.
// 47, VP eq. 4, of EDM as of VE). Sub-VP has none: check_ancestral must have succeeded.
struct ReverseStep {
  double on_x = 1;
  double on_score = 0;
  double noise = 0;
};
ReverseStep reverse_chain_step(const Sde& sde, const Interval& interval, int steps);
Status check_ancestral(const Sde& sde);

// 1 - β_i of chains that have β, else 1: α of Song et al. 2021, algorithms 4 and 5.
double chain_alpha(const Sde& sde, double t, int steps);
// Whether the process has a chain of that many steps. Errors: of VP and sub-VP some β_i above 1.
Status check_chain(const Sde& sde, int steps);

}  // namespace ito
