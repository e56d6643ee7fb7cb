#include "diffusion/timesteps.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ito {

Result<Spacing> spacing_from_name(const std::string& name) {
  if (name == "leading") return Spacing::kLeading;
  if (name == "trailing") return Spacing::kTrailing;
  if (name == "linspace") return Spacing::kLinspace;
  return invalid_argument(
      "scheduler config: timestep_spacing is \"{}\", expected leading, trailing or linspace", name);
}

Result<std::vector<int>> spaced_timesteps(Spacing spacing, int num_train_timesteps, int steps,
                                          int steps_offset) {
  const int T = num_train_timesteps;
  if (steps < 1 || steps > T)
    return invalid_argument(
        "number of sampling steps is {}, expected 1 to {} (num_train_timesteps)", steps, T);
  std::vector<int> timesteps;
  switch (spacing) {
    case Spacing::kLeading:
      for (int i = steps - 1; i >= 0; --i) timesteps.push_back(i * (T / steps) + steps_offset);
      break;
    case Spacing::kTrailing: {
      const double ratio = static_cast<double>(T) / steps;
      for (int i = 0; i < steps; ++i)
        timesteps.push_back(static_cast<int>(std::nearbyint(T - i * ratio)) - 1);
      break;
    }
    case Spacing::kLinspace:
      for (int i = steps - 1; i >= 0; --i) {
        const double gap = steps > 1 ? static_cast<double>(T - 1) / (steps - 1) : 0.0;
        timesteps.push_back(static_cast<int>(std::nearbyint(i * gap)));
      }
      break;
  }
  for (int t : timesteps) {
    if (t < 0 || t >= T)
      return invalid_argument(
          "sampling with {} steps and steps_offset {} visits timestep {}, outside 0 to {}", steps,
          steps_offset, t, T - 1);
  }
  return timesteps;
}

Status check_timesteps(const std::vector<int>& timesteps, int num_train_timesteps) {
  if (timesteps.empty()) return invalid_argument("the list of timesteps is empty");
  for (size_t i = 0; i < timesteps.size(); ++i) {
    if (timesteps[i] < 0 || timesteps[i] >= num_train_timesteps)
      return invalid_argument("timestep {} is outside 0 to {}", timesteps[i],
                              num_train_timesteps - 1);
    if (i > 0 && timesteps[i] >= timesteps[i - 1])
      return invalid_argument("timesteps must descend, but {} follows {}", timesteps[i],
                              timesteps[i - 1]);
  }
  return {};
}

}  // namespace ito
