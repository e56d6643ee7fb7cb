// Euler's method on the straight path x = (1-σ) x_0 + σ ε (Liu et al. 2022; Lipman et al. 2022),
// whose velocity y = ε - x_0 the network gives:
//   x ← x + (σ' - σ) y  =  (1-σ') x̂_0 + σ' ε̂
// and with stochastic_sampling (1-σ') x̂_0 + σ' z. The network is told t = T σ. Levels are evenly
// spaced between those of the first and last training timestep, shifted towards noise by `shift`
// (of whose end points the last is shifted twice, as published) or by μ (use_dynamic_shifting),
// stretched to shift_terminal, and with a use_ switch replaced by Karras, exponential or beta
// levels between the same ends; they end at 0. With invert_sigmas σ counts the other way, from
// noise at 0 to images at 1.
// Errors: unknown names, a shift not above 0, no μ with use_dynamic_shifting.
#include <cmath>

#include "base/error.h"
#include "diffusion/solvers/flow_row.h"

namespace ito {
namespace {

Result<std::vector<double>> shifted(const SchedulerConfig& config, const SolverOptions& options) {
  if (config.use_dynamic_shifting && !options.mu)
    return invalid_argument(
        "the scheduler config's use_dynamic_shifting shifts noise levels by the size of the "
        "picture; expected a value mu");
  SchedulerConfig ends = config;
  if (config.use_dynamic_shifting) ends.shift = 1;
  ITO_ASSIGN(std::vector<double> sigmas, flow_grid(ends, options));
  ITO_ASSIGN(const double shift, level_shift(config, options.mu, config.shift));
  for (double& sigma : sigmas) sigma = shifted_level(shift, sigma);
  if (config.shift_terminal && !(*config.shift_terminal < 1))
    return invalid_argument("scheduler config: shift_terminal is {}, expected below 1",
                            *config.shift_terminal);
  stretch_to_terminal(sigmas, config.shift_terminal.value_or(0));
  return sigmas;
}

Result<std::vector<double>> visited_levels(const SchedulerConfig& config,
                                           const SolverOptions& options) {
  ITO_ASSIGN(const std::vector<double> sigmas, shifted(config, options));
  const int formulas = int{config.use_karras_sigmas} + int{config.use_exponential_sigmas} +
                       int{config.use_beta_sigmas};
  if (formulas > 1)
    return invalid_argument(
        "scheduler config: more than one of use_karras_sigmas, use_exponential_sigmas and "
        "use_beta_sigmas is true, expected at most one");
  if (config.use_lu_lambdas)
    return invalid_argument(
        "scheduler config: use_lu_lambdas is true, which flow matching's levels do not know; "
        "expected "
        "Karras, exponential or beta levels, or none of these");
  const double least = sigmas.back(), largest = sigmas.front();
  const int n = static_cast<int>(sigmas.size());
  if (config.use_karras_sigmas) return karras_sigmas(least, largest, n);
  if (config.use_exponential_sigmas) return exponential_sigmas(least, largest, n);
  if (config.use_beta_sigmas) return beta_sigmas(least, largest, n);
  return sigmas;
}

}  // namespace

Result<Solver> flow_euler_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_TRY(check_flow(config));
  ITO_ASSIGN(std::vector<double> sigmas, visited_levels(config, options));
  const size_t steps = sigmas.size();
  ITO_ASSIGN(const size_t first, first_step(steps, options));
  if (config.invert_sigmas)
    for (double& sigma : sigmas) sigma = 1 - sigma;
  sigmas.push_back(config.invert_sigmas ? 1 : 0);
  round_levels(sigmas, options);

  Solver solver;
  solver.name = "flow-euler";
  for (size_t i = first; i < steps; ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const bool inverted = config.invert_sigmas && !config.stochastic_sampling;
    SolverRow row = flow_row(config, options, sigma);
    if (inverted) {
      // The network's velocity points to the images: x_0 = x + (1-σ) y, ε = x - σ y.
      row.mean = sigma;
      row.std = 1 - sigma;
      std::swap(row.x0, row.epsilon);
    }
    row.draws = config.stochastic_sampling;
    const double noise = inverted ? 1 - next : next;
    row.x = (1 - noise) * affine::kX0 +
            noise * (config.stochastic_sampling ? affine::kNoise : affine::kEpsilon);
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
