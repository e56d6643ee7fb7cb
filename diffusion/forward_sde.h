// The noising process itself as a Method: data in, noise out, by Euler-Maruyama. For checks that
// the simulated densities are the closed-form marginals (Kolmogorov-Fokker-Planck) and for showing
// the process; training draws x_t at once (diffusion/sde.h).
#pragma once

#include "diffusion/method.h"
#include "diffusion/sde.h"

namespace ito {

// x + c(t) x Δt + g(t) √Δt z from t = 0 to end_time in equal steps (Särkkä & Solin 2019, chapter
// 8). Start from data; for VE, whose marginal at 0 has the deviation σ_min, from data with that
// noise. Columns: "time", the time before the step, "on_x" and "noise".
// Errors: steps < 1, end_time not in (0, sde.end()], a bad SDE.
Result<Method> forward_process(const Sde& sde, double end_time, int steps);

}  // namespace ito
