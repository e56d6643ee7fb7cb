// kdpm2 made ancestral: the midpoint method from σ down to σ_down = σ'²/σ with the middle
// σ_m = √(σ σ_down), then noise of deviation σ_up (euler_ancestral.cpp).
// Errors: as kdpm2's.
#include <cmath>

#include "diffusion/solvers/sigma_row.h"

namespace ito {

Result<Solver> kdpm2_ancestral_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(SigmaRun run, sigma_run("kdpm2-ancestral", config, options, {.round_karras = true},
                                     {Prediction::kEpsilon, Prediction::kV}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  solver.states = {"base"};
  const Affine base = affine::state(0);
  for (size_t i = first; i < run.steps(); ++i) {
    const double sigma = run.sigma(i);
    const AncestralStep step = ancestral_step(sigma, run.sigma(i + 1));
    const double middle = std::sqrt(sigma * step.down);  // 0 in the last step
    SolverRow row = sigma_row(run.prediction, run.t(i), sigma);
    row.x = affine::kX + (middle - sigma) * affine::kEpsilon;
    row.states = {affine::kX};
    solver.rows.push_back(row);
    if (i + 1 == run.steps()) break;
    SolverRow second = sigma_row(run.prediction, run.table.timestep_of(middle), middle);
    second.x = base + (step.down - sigma) * affine::kEpsilon + step.up * affine::kNoise;
    second.states = {Affine{}};
    solver.rows.push_back(second);
  }
  return solver;
}

}  // namespace ito
