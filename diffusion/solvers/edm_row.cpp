#include "diffusion/solvers/edm_row.h"

#include <cmath>
#include <span>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "diffusion/edm.h"
#include "diffusion/score_model.h"
#include "diffusion/sigma_spacing.h"

namespace ito {
namespace {

struct EdmLevels {
  Name name;
  std::vector<double> (*levels)(double least, double largest, int steps, double rho);
};
constexpr EdmLevels kLevels[] = {
    {{"karras", "evenly in the root of order rho", "Karras et al. 2022, eq. 5", ""}, karras_sigmas},
    {{"exponential", "evenly in log sigma", "", ""},
     [](double least, double largest, int steps, double) {
       return exponential_sigmas(least, largest, steps);
     }},
};

}  // namespace

std::vector<Name> sigma_schedule_choices() { return names_of(kLevels); }

Result<std::vector<double>> edm_levels(const SchedulerConfig& config,
                                       const SolverOptions& options) {
  const double least = config.sigma_min, largest = config.sigma_max;
  if (!(least > 0) || !(largest > least) || !std::isfinite(largest))
    return invalid_argument(
        "scheduler config: sigma_min is {} and sigma_max {}, expected 0 < sigma_min < sigma_max",
        least, largest);
  if (!(config.sigma_data > 0) || !(config.rho > 0))
    return invalid_argument("scheduler config: sigma_data is {} and rho {}, expected both above 0",
                            config.sigma_data, config.rho);
  if (options.steps < 1)
    return invalid_argument("number of sampling steps is {}, expected at least 1", options.steps);
  ITO_ASSIGN(const EdmLevels* row,
             row_called(std::span<const EdmLevels>(kLevels), config.sigma_schedule,
                        "scheduler config: sigma_schedule"));
  std::vector<double> levels = row->levels(least, largest, options.steps, config.rho);
  ITO_ASSIGN(const bool to_zero, final_sigma_is_zero(config));
  levels.push_back(to_zero ? 0 : levels.back());
  if (options.arithmetic == Arithmetic::kFloat32AsDiffusers)
    for (double& level : levels) level = static_cast<float>(level);
  return levels;
}

SolverRow edm_row(const SchedulerConfig& config, double sigma, double sigma_hat) {
  const EdmPreconditioning edm{.sigma_data = config.sigma_data};
  const double sign = edm_output_sign(config).value();
  SolverRow row{.t = edm.c_noise(sigma), .input_scale = edm.c_in(sigma), .mean = 1, .std = sigma};
  const double c_skip = edm.c_skip(sigma_hat), c_out = sign * edm.c_out(sigma_hat);
  row.x0 = {c_skip, c_out, 1};
  row.epsilon = {1 - c_skip, -c_out, 1 / sigma_hat};
  return row;
}

Result<Solver> edm_solver(const char* name, const SchedulerConfig& config) {
  ITO_TRY(edm_output_sign(config));
  Solver solver;
  solver.name = name;
  solver.init_noise_sigma = std::sqrt(config.sigma_max * config.sigma_max + 1);
  return solver;
}

}  // namespace ito
