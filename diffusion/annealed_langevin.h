// Annealed Langevin dynamics: Langevin steps at every level of a noise ladder in turn, the step
// size in proportion to σ_i², as a Method. Ladders and their rules are diffusion/noise_ladder.h.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/method.h"
#include "diffusion/score.h"

namespace ito {

// α_i = ε σ_i²/σ_L² in both; they differ in what α is.
enum class AnnealedForm : uint8_t {
  kNcsn,    // x + (α_i/2) s + √α_i z   (Song & Ermon 2019, algorithm 1)
  kNcsnV2,  // x + α_i s + √(2 α_i) z   (Song & Ermon 2020, algorithm 1)
};

struct AnnealedLangevinOptions {
  AnnealedForm form = AnnealedForm::kNcsnV2;
  double epsilon = 2e-5;      // ε, positive; NCSN's 2e-5, for NCSNv2 ladder_step_size
  int steps_per_level = 100;  // T, at least 1; NCSN's 100, NCSNv2's 3 to 5
  bool denoise = true;  // a last step x + σ_L² s(x, σ_L), the posterior mean (Song & Ermon 2020,
                        // algorithm 1, after Jolicoeur-Martineau et al. 2020)
};

// L·T steps, and one more to denoise. sigmas: σ_1 > ... > σ_L > 0; times: what the score is given
// at each level (for a score on the SDE's time: Sde::time_of(σ_i); for kEdm the σ themselves).
// Start from what the ladder was made for: uniform noise, or N(0, σ_1²). Outputs: "mean".
// Errors: a ladder that check_ladder refuses, times of another number, an option by name.
Result<Method> annealed_langevin(const std::vector<double>& sigmas,
                                 const std::vector<double>& times, ScoreFunction score,
                                 const AnnealedLangevinOptions& options);

}  // namespace ito
