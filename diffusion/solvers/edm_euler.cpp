// Euler's method on EDM's probability flow, with churn (Karras et al. 2022, algorithm 2 without its
// second-order correction):
//   x̂ ← x + s_noise √(σ̂² - σ²) z,  σ̂ = (1 + γ) σ,  x ← x̂ + (σ' - σ̂) (x̂ - x̂_0)/σ̂
// These are diffusers' numbers: the network is asked at x and σ, before the noise is added, but its
// output is preconditioned as at x̂ and σ̂. The paper's own sampler: diffusion/edm_sampler.h.
// Errors: unknown names, values out of range, s_churn or s_noise below 0.
#include "diffusion/solvers/edm_row.h"
#include "diffusion/solvers/sigma_row.h"

namespace ito {

Result<Solver> edm_euler_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_TRY(check_churn(options));
  ITO_ASSIGN(Solver solver, edm_solver("edm-euler", config));
  ITO_ASSIGN(const std::vector<double> sigmas, edm_levels(config, options));
  const size_t steps = sigmas.size() - 1;
  ITO_ASSIGN(const size_t first, first_step(steps, options));
  for (size_t i = first; i < steps; ++i) {
    const Churn churn = churn_at(options, sigmas[i], steps);
    SolverRow row = edm_row(config, sigmas[i], churn.sigma_hat);
    row.churn = churn.noise;
    row.x = affine::kX + (sigmas[i + 1] - churn.sigma_hat) * affine::kEpsilon;
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
