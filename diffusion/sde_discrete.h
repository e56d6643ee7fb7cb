// The N-step chains that the SDEs are limits of: their noise levels σ_i, β_i, and the transition
// x_{i+1} = x_i + f_i + G_i z from a time on. Tables of host numbers for samplers and correctors.
// Not the continuous values (diffusion/sde.h) and not diffusers' schedules (diffusion/schedule.h).
#pragma once

#include <vector>

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

}  // namespace ito
