#include "diffusion/solver_options.h"

#include <algorithm>

#include "base/check.h"

namespace ito {

int first_step_for_strength(int steps, double strength) {
  CHECK(strength >= 0 && strength <= 1, "strength outside [0, 1]");
  return steps - std::min(static_cast<int>(steps * strength), steps);
}

}  // namespace ito
