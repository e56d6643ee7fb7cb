// DPM-Solver-2 in σ (Lu et al. 2022, algorithm 1, as k-diffusion has it): the midpoint method with
// the middle σ_m = √(σ σ') in log σ; d = (x - x̂_0)/σ:
//   x_m = x + (σ_m - σ) d,  x ← x + (σ' - σ) d_m
// two evaluations per step, one for the last step to σ = 0. Karras levels are told as whole
// timesteps, the middles between them as they are.
// Errors: unknown names, predictions other than epsilon and v_prediction.
#include <cmath>

#include "diffusion/solvers/sigma_row.h"

namespace ito {

Result<Solver> kdpm2_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(SigmaRun run, sigma_run("kdpm2", config, options, {.round_karras = true},
                                     {Prediction::kEpsilon, Prediction::kV}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  solver.states = {"base"};  // x at the beginning of the step
  const Affine base = affine::state(0);
  for (size_t i = first; i < run.steps(); ++i) {
    const double sigma = run.sigma(i), next = run.sigma(i + 1);
    const double middle = std::sqrt(sigma * next);  // 0 in the last step
    SolverRow row = sigma_row(run.prediction, run.t(i), sigma);
    row.x = affine::kX + (middle - sigma) * affine::kEpsilon;
    row.states = {affine::kX};
    solver.rows.push_back(row);
    if (i + 1 == run.steps()) break;
    SolverRow second = sigma_row(run.prediction, run.table.timestep_of(middle), middle);
    second.x = base + (next - sigma) * affine::kEpsilon;
    second.states = {Affine{}};
    solver.rows.push_back(second);
  }
  return solver;
}

}  // namespace ito
