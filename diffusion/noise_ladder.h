// Noise ladders σ_1 > ... > σ_L > 0 of noise-conditional score networks, and NCSNv2's rules for
// choosing them and the Langevin step on them (Song & Ermon 2020, Improved Techniques for Training
// Score-Based Generative Models). Not for sampling over one (diffusion/annealed_langevin.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace ito {

// σ_i = σ_1 (σ_L/σ_1)^{(i-1)/(L-1)}: a geometric ladder of `levels` (Song & Ermon 2019,
// section 4.1). Errors: levels < 2, not 0 < sigma_last < sigma_first, not finite.
Result<std::vector<double>> geometric_ladder(double sigma_first, double sigma_last, int levels);

// Errors: empty, or the first level that is not a positive finite number or not below the one
// before it, by its place counted from 1.
Status check_ladder(std::span<const double> sigmas);

// Technique 2: the ratio γ = σ_{i-1}/σ_i > 1 at which neighbouring levels overlap by `overlap` in
// (0, 1): Φ(√(2D) (γ-1) + 3γ) - Φ(√(2D) (γ-1) - 3γ) = overlap, for images of D dimensions.
// dimensions >= 1; the published settings have overlaps of about 0.5. Below 5
// dimensions every ratio overlaps by more than that; the answer is then 1000.
double ladder_ratio(int64_t dimensions, double overlap = 0.5);
// The fewest levels of a geometric ladder whose ratio is at most ladder_ratio's.
int ladder_levels(double sigma_first, double sigma_last, int64_t dimensions, double overlap = 0.5);

// Proposition 3: the variance over σ_i² after `steps_per_level` steps x + α s + √(2α) z, α =
// ε σ_i²/σ_L², on N(0, σ_i²), from N(0, γ² σ_i²). epsilon_over_last: ε/σ_L² in (0, 1).
double ladder_variance(double epsilon_over_last, double ratio, int steps_per_level);
// Technique 4: the ε for which that is as near 1 as it can be. sigmas: a checked ladder, two levels
// or more.
double ladder_step_size(std::span<const double> sigmas, int steps_per_level);

}  // namespace ito
