// Ancestral sampling in σ: Euler's method down to σ_down, then noise up to σ' again:
//   x ← x + (σ_down - σ) (x - x̂_0)/σ + σ_up z,  σ_up² = σ'² (σ² - σ'²)/σ²,  σ_down = σ'²/σ
// the posterior of the noising chain in these coordinates (Song et al. 2021, eq. 47, with x̂_0 in
// place of the score).
// Errors: unknown names, predictions other than epsilon and v_prediction.
#include "diffusion/solvers/sigma_row.h"

namespace ito {

Result<Solver> euler_ancestral_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(SigmaRun run, sigma_run("euler-ancestral", config, options, {},
                                     {Prediction::kEpsilon, Prediction::kV}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  for (size_t i = first; i < run.steps(); ++i) {
    const double sigma = run.sigma(i);
    const AncestralStep step = ancestral_step(sigma, run.sigma(i + 1));
    SolverRow row = sigma_row(run.prediction, run.t(i), sigma);
    row.draws = true;
    row.x = affine::kX + (step.down - sigma) * affine::kEpsilon + step.up * affine::kNoise;
    run.solver.rows.push_back(row);
  }
  return run.solver;
}

}  // namespace ito
