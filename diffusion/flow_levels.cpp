#include "diffusion/flow_levels.h"

#include <cmath>
#include <span>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"

namespace ito {
namespace {

struct ShiftRow {
  Name name;
  double (*shift)(double mu);
};
constexpr ShiftRow kShifts[] = {
    {{"exponential", "by e^mu", "Esser et al. 2024", ""}, [](double mu) { return std::exp(mu); }},
    {{"linear", "by mu", "Esser et al. 2024", ""}, [](double mu) { return mu; }},
};

}  // namespace

std::vector<Name> time_shift_choices() { return names_of(kShifts); }

double shifted_level(double shift, double t) { return shift * t / (1 + (shift - 1) * t); }

Result<double> level_shift(const SchedulerConfig& config, std::optional<double> mu, double fixed) {
  ITO_ASSIGN(const ShiftRow* row,
             row_called(std::span<const ShiftRow>(kShifts), config.time_shift_type,
                        "scheduler config: time_shift_type"));
  if (!mu) return fixed;
  if (!config.use_dynamic_shifting)
    return invalid_argument(
        "mu is given, but the scheduler config's use_dynamic_shifting is false; expected one "
        "without the other");
  const double shift = row->shift(*mu);
  if (!(shift > 0) || !std::isfinite(shift))
    return invalid_argument("mu is {}, which shifts levels by {}, expected a positive shift", *mu,
                            shift);
  return shift;
}

void stretch_to_terminal(std::vector<double>& levels, double terminal) {
  if (terminal == 0 || levels.empty()) return;
  const double scale = (1 - levels.back()) / (1 - terminal);
  for (double& level : levels) level = 1 - (1 - level) / scale;
}

}  // namespace ito
