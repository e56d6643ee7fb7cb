#include "diffusion/timesteps.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"

namespace ito {

namespace {

struct TimestepSpacing {
  Name name;
  Spacing spacing;
};
constexpr TimestepSpacing kSpacings[] = {
    {{"leading", "from timestep 0 up", "Lin et al. 2023, table 2", ""}, Spacing::kLeading},
    {{"trailing", "from the last timestep down", "Lin et al. 2023, table 2", ""},
     Spacing::kTrailing},
    {{"linspace", "both ends", "Lin et al. 2023, table 2", ""}, Spacing::kLinspace},
};

}  // namespace

std::vector<Name> timestep_spacing_choices() { return names_of(kSpacings); }

Result<Spacing> spacing_from_name(const std::string& name) {
  ITO_ASSIGN(const TimestepSpacing* row, row_called(std::span<const TimestepSpacing>(kSpacings),
                                                    name, "scheduler config: timestep_spacing"));
  return row->spacing;
}

double first_deviation(const std::string& spacing, double sigma) {
  const TimestepSpacing* row = find_row(std::span<const TimestepSpacing>(kSpacings), spacing);
  const bool leading = row != nullptr && row->spacing == Spacing::kLeading;
  return leading ? std::sqrt(sigma * sigma + 1) : sigma;
}

bool can_ascend(Spacing spacing) { return spacing != Spacing::kLinspace; }

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
