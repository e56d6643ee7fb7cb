// Heun's method on the probability flow in σ (Karras et al. 2022, algorithm 1): with d = (x -
// x̂_0)/σ
//   x' = x + (σ' - σ) d,  x ← x + (σ' - σ) (d + d')/2
// two evaluations per step, one for the last step to σ = 0. clip_sample clips x̂_0, and d is that of
// the clipped one.
// Errors: unknown names, prediction flow.
#include "diffusion/solvers/sigma_row.h"
#include "diffusion/x0_limit.h"

namespace ito {

Result<Solver> heun_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(SigmaRun run, sigma_run("heun", config, options, {},
                                     {Prediction::kEpsilon, Prediction::kV, Prediction::kSample}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  ITO_ASSIGN(solver.limit, x0_limit(config));
  solver.limit.threshold = false;
  solver.epsilon_from_x0 = solver.limit.clip;
  solver.states = {"half"};  // x + (σ' - σ) d/2
  const Affine half = affine::state(0);
  const auto evaluation = [&](double t, double sigma) {
    SolverRow row = sigma_row(run.prediction, t, sigma);
    if (solver.epsilon_from_x0) row.epsilon = sigma_row(Prediction::kSample, t, sigma).epsilon;
    return row;
  };
  for (size_t i = first; i < run.steps(); ++i) {
    const double sigma = run.sigma(i), next = run.sigma(i + 1);
    const Affine d = affine::kEpsilon;
    SolverRow row = evaluation(run.t(i), sigma);
    row.x = affine::kX + (next - sigma) * d;
    row.states = {affine::kX + (next - sigma) / 2 * d};
    solver.rows.push_back(row);
    if (i + 1 == run.steps()) break;
    SolverRow second = evaluation(run.t(i + 1), next);
    second.x = half + (next - sigma) / 2 * d;
    second.states = {Affine{}};
    solver.rows.push_back(second);
  }
  return solver;
}

}  // namespace ito
