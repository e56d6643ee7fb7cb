// Multistep sampling of a consistency model (Song et al. 2023, algorithm 1): its estimate of x_0,
// clipped to [-1, 1] with clip_denoised, is noised again to the next level:
//   x ← f(x, σ) + s_noise √(σ'² - σ_min²) z,  f = c_skip x + c_out F(x/√(σ² + σ_d²), 250 ln σ)
//   c_skip = σ_d²/((σ - σ_min)² + σ_d²),  c_out = (σ - σ_min) σ_d/√(σ² + σ_d²)   (appendix C)
// so that f(x, σ_min) = x. Levels are entries of Karras's num_train_timesteps levels: every
// ⌊T/steps⌋th from the noisiest, or T - 1 - t counted from the least for options.timesteps t; the
// last step ends at σ_min and adds no noise.
// Errors: more steps than levels, values out of range.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/sigma_spacing.h"
#include "diffusion/solvers/discrete_step.h"
#include "diffusion/timesteps.h"

namespace ito {
namespace {

// Indices among the levels of training, the noisiest being 0.
Result<std::vector<int>> level_indices(const SchedulerConfig& config,
                                       const SolverOptions& options) {
  const int total = config.num_train_timesteps;
  if (total < 2)
    return invalid_argument("scheduler config: num_train_timesteps is {}, expected at least 2",
                            total);
  std::vector<int> indices;
  if (!options.timesteps.empty()) {
    ITO_TRY(check_timesteps(options.timesteps, total));
    indices.assign(options.timesteps.rbegin(), options.timesteps.rend());
    return indices;
  }
  if (options.steps < 1 || options.steps > total)
    return invalid_argument(
        "number of sampling steps is {}, expected 1 to {} (num_train_timesteps)", options.steps,
        total);
  for (int i = 0; i < options.steps; ++i) indices.push_back(i * (total / options.steps));
  return indices;
}

}  // namespace

Result<Solver> consistency_solver(const SchedulerConfig& config, const SolverOptions& options) {
  const double least = config.sigma_min, largest = config.sigma_max;
  const double data = config.sigma_data, rho = config.rho;
  if (!(least > 0) || !(largest > least) || !(data > 0) || !(rho > 0))
    return invalid_argument(
        "scheduler config: sigma_min, sigma_max, sigma_data and rho are {}, {}, {} and {}, "
        "expected "
        "0 < sigma_min < sigma_max and the others above 0",
        least, largest, data, rho);
  ITO_ASSIGN(const std::vector<int> indices, level_indices(config, options));
  ITO_TRY(check_first_step(options, indices.size()));
  const std::vector<double> levels = karras_sigmas(least, largest, config.num_train_timesteps, rho);
  const auto stored = [&](double sigma) {
    return options.arithmetic == Arithmetic::kDouble ? sigma : static_cast<float>(sigma);
  };

  Solver solver;
  solver.name = "consistency";
  solver.init_noise_sigma = largest;
  solver.limit = {.clip = config.clip_denoised, .range = 1};
  for (size_t i = static_cast<size_t>(options.first_step); i < indices.size(); ++i) {
    const double exact = levels[static_cast<size_t>(indices[i])], sigma = stored(exact);
    const double next =
        i + 1 < indices.size() ? stored(levels[static_cast<size_t>(indices[i + 1])]) : least;
    const double above = sigma - least;
    SolverRow row{.t = 250 * std::log(exact),
                  .input_scale = 1 / std::sqrt(sigma * sigma + data * data),
                  .mean = 1,
                  .std = sigma};
    row.x0 = {data * data / (above * above + data * data),
              above * data / std::sqrt(sigma * sigma + data * data), 1};
    row.draws = indices.size() > 1;
    const double variance = std::max(next * next - least * least, 0.0);
    row.x = affine::kX0 + config.s_noise * std::sqrt(variance) * affine::kNoise;
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
