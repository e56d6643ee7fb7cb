// Which training timesteps a sampler visits, in order: diffusers' set_timesteps for the discrete
// schedulers. Not for σ spacings (Karras, exponential, Lu).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"

namespace ito {

enum class Spacing : uint8_t { kLeading, kTrailing, kLinspace };

// From "leading", "trailing" or "linspace"; the error names the config field.
Result<Spacing> spacing_from_name(const std::string& name);

// `steps` timesteps from noise to data (descending) of T = num_train_timesteps:
//   leading   i ⌊T/steps⌋ + steps_offset
//   trailing  round(T - i T/steps) - 1
//   linspace  round(i (T-1)/(steps-1)); one step visits 0
// (table 2 of Lin et al. 2023; halves round to even, as numpy does). Errors: steps outside
// [1, T], or an offset that leads outside [0, T).
Result<std::vector<int>> spaced_timesteps(Spacing spacing, int num_train_timesteps, int steps,
                                          int steps_offset);

// The deviation of x where a run of that spacing begins at the level σ: σ, with leading spacing
// √(σ² + 1), as diffusers has it. Unknown names: σ.
double first_deviation(const std::string& spacing, double sigma);
// Whether runs from images to noise have such a spacing: not linspace.
bool can_ascend(Spacing spacing);

// Checks timesteps given by the user: at least one, strictly descending, within [0, T).
Status check_timesteps(const std::vector<int>& timesteps, int num_train_timesteps);

}  // namespace ito
