// Linear multistep method on the probability flow in σ (Adams-Bashforth with unequal steps; Liu et
// al. 2022, PNDM, section 3, for diffusion): the derivatives d_j = (x_j - x̂_0)/σ_j of the last k
// steps are interpolated by a polynomial, which is integrated:
//   x ← x + Σ_j d_{i-j} ∫_{σ_i}^{σ_{i+1}} Π_{m≠j} (τ - σ_{i-m})/(σ_{i-j} - σ_{i-m}) dτ
// options.order is the greatest k, 1 to 4; the first steps, also of a run that begins at
// first_step, have fewer derivatives.
// Errors: unknown names, an order outside 1 to 4, prediction flow.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "diffusion/solvers/sigma_row.h"

namespace ito {
namespace {

constexpr int kMaxOrder = 4;

// ∫ of the Lagrange polynomial of node `own` among the `order` levels σ_{i}, σ_{i-1} ..., from σ_i
// to σ_{i+1}. Gauss's rule of two points is exact up to cubics.
double lagrange_integral(const SigmaRun& run, size_t i, size_t own, size_t order) {
  const double middle = (run.sigma(i) + run.sigma(i + 1)) / 2;
  const double half = (run.sigma(i + 1) - run.sigma(i)) / 2;
  constexpr double kPoint = 0.57735026918962576451;  // 1/√3
  double total = 0;
  for (const double point : {-kPoint, kPoint}) {
    const double tau = middle + half * point;
    double product = 1;
    for (size_t k = 0; k < order; ++k)
      if (k != own) product *= (tau - run.sigma(i - k)) / (run.sigma(i - own) - run.sigma(i - k));
    total += half * product;
  }
  return total;
}

}  // namespace

Result<Solver> lms_solver(const SchedulerConfig& config, const SolverOptions& options) {
  if (options.order < 1 || options.order > kMaxOrder)
    return invalid_argument("order of the linear multistep method is {}, expected 1 to {}",
                            options.order, kMaxOrder);
  ITO_ASSIGN(SigmaRun run, sigma_run("lms", config, options, {},
                                     {Prediction::kEpsilon, Prediction::kV, Prediction::kSample}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  // The derivatives of one, two and three steps ago.
  constexpr std::array kNames = {"d1", "d2", "d3"};
  const auto kept = static_cast<size_t>(options.order - 1);
  solver.states.assign(kNames.begin(), kNames.begin() + kept);
  for (size_t i = first; i < run.steps(); ++i) {
    SolverRow row = sigma_row(run.prediction, run.t(i), run.sigma(i));
    const size_t order = std::min(i - first + 1, kept + 1);
    const auto d = [](size_t ago) { return ago == 0 ? affine::kEpsilon : affine::state(ago - 1); };
    row.x = affine::kX;
    for (size_t j = 0; j < order; ++j) row.x += lagrange_integral(run, i, j, order) * d(j);
    for (size_t j = 0; j < kept; ++j) row.states.push_back(d(j));
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
