// Noise levels of the straight path x = (1-σ) x_0 + σ ε and how they are shifted towards noise for
// large pictures. What the levels of one solver are stands with it.
#pragma once

#include <optional>
#include <vector>

#include "base/config.h"
#include "base/result.h"

namespace ito {

// s t/(1 + (s - 1) t): a level as noisy for a picture as t is for one of s² times fewer pixels
// (Esser et al. 2024, eq. 23).
double shifted_level(double shift, double t);

// The shift s that a run takes: e^μ, or μ where time_shift_type is "linear"; `fixed` without μ.
// Errors: μ without use_dynamic_shifting, a time_shift_type that is neither.
Result<double> level_shift(const SchedulerConfig& config, std::optional<double> mu, double fixed);

// Scales 1 - σ so that the last level is `terminal`, below 1. No change for 0.
void stretch_to_terminal(std::vector<double>& levels, double terminal);

}  // namespace ito
