// Improved PNDM (Zhang & Chen 2023: iPNDM) on the probability flow in σ: the derivatives d_j = (x_j
// - x̂_0)/σ_j of the last k steps are weighed as Adams-Bashforth weighs those of even steps (Liu et
// al. 2022, eq. 12, has order 4),
//   x ← x + (σ_{i+1} - σ_i) Σ_j b_j d_{i-j},
// and while there are fewer, by the formula of as many: no other method starts it.
// options.order is the greatest k, 1 to 4.
//
// The b_j are the published constants, also where steps are uneven: they then average d over the
// number of the step in place of σ, so that of k >= 2 the order is 2 on levels that grow denser
// smoothly. Adams-Bashforth with the weights of the uneven steps, of order k, is "lms".
// Errors: unknown names, an order outside 1 to 4, prediction flow.
#include <algorithm>
#include <iterator>
#include <vector>

#include "base/error.h"
#include "diffusion/solvers/log_snr.h"
#include "diffusion/solvers/sigma_row.h"

namespace ito {
namespace {

// Adams-Bashforth of orders 1 to 4, the newest derivative first (Hairer, Nørsett & Wanner, III.1).
const std::vector<double> kAdamsBashforth[] = {
    {1},
    {3. / 2, -1. / 2},
    {23. / 12, -16. / 12, 5. / 12},
    {55. / 24, -59. / 24, 37. / 24, -9. / 24},
};

}  // namespace

Result<Solver> ipndm_solver(const SchedulerConfig& config, const SolverOptions& options) {
  constexpr int kMaxOrder = static_cast<int>(std::size(kAdamsBashforth));
  if (options.order < 1 || options.order > kMaxOrder)
    return invalid_argument("order of iPNDM is {}, expected 1 to {}", options.order, kMaxOrder);
  ITO_ASSIGN(SigmaRun run, sigma_run("ipndm", config, options, {},
                                     {Prediction::kEpsilon, Prediction::kV, Prediction::kSample}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  const auto order = static_cast<size_t>(options.order);
  add_history(solver, options.order - 1);
  for (size_t i = first; i < run.steps(); ++i) {
    const std::vector<double>& weights = kAdamsBashforth[std::min(i - first, order - 1)];
    SolverRow row = sigma_row(run.prediction, run.t(i), run.sigma(i));
    Affine d = weights[0] * affine::kEpsilon;
    for (size_t j = 1; j < weights.size(); ++j) d += weights[j] * affine::state(j - 1);
    row.x = affine::kX + (run.sigma(i + 1) - run.sigma(i)) * d;
    row.states.resize(solver.states.size());
    push_history(row, affine::kEpsilon, 0, row.states.size());
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
