// DPM-Solver++ multistep on EDM's process, of orders 1 to 3, deterministic or as an SDE (Lu et al.
// 2022b, algorithm 2 and appendix A; α = 1, so λ = -ln σ). With h = λ' - λ, m_j the x̂_0 of j steps
// ago, r_j h their distances in λ, e = e^{-h} = σ'/σ:
//   1   x ← e x + (1 - e) m_0
//   2   + (1 - e) D_1/2                       midpoint;  ((e - 1)/h + 1) D_1  Heun
//   3   + ((e - 1)/h + 1) D_1 - ((e - 1 + h)/h² - 1/2) D_2
// and as an SDE with e² for e in front of x̂_0, e² x in place of e x and σ' √(1 - e²) z. (D_2 tends
// to half of h² d²m/dλ², for which the formula, published so, wants the whole: order 3 is of second
// order with a smaller constant.) The first steps are of lower order; so is the last (with
// euler_at_final, a final σ of 0, or lower_order_final and fewer than 15 steps) and the one before
// it (the latter).
// Errors: unknown names, values out of range; order 3 as an SDE, which has no such step.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/solvers/edm_row.h"
#include "diffusion/solvers/sigma_row.h"
#include "diffusion/x0_limit.h"

namespace ito {
namespace {

struct DpmMethod {
  int order = 2;
  bool sde = false;
  bool heun = false;
};

Result<DpmMethod> read_method(const SchedulerConfig& config) {
  DpmMethod method{.order = config.solver_order};
  const std::string& algorithm = config.algorithm_type;
  // "deis" is understood as DPM-Solver++, and other families' solver types as midpoint.
  method.sde = algorithm == "sde-dpmsolver++";
  if (!method.sde && algorithm != "dpmsolver++" && algorithm != "deis")
    return invalid_argument(
        "scheduler config: algorithm_type is \"{}\", expected dpmsolver++ or sde-dpmsolver++",
        algorithm);
  const std::string& type = config.solver_type;
  method.heun = type == "heun";
  if (!method.heun && type != "midpoint" && type != "logrho" && type != "bh1" && type != "bh2")
    return invalid_argument("scheduler config: solver_type is \"{}\", expected midpoint or heun",
                            type);
  if (method.order < 1 || method.order > 3)
    return invalid_argument("scheduler config: solver_order is {}, expected 1 to 3", method.order);
  if (method.sde && method.order == 3)
    return invalid_argument(
        "scheduler config: solver_order is 3, but sde-dpmsolver++ has orders 1 and 2 only");
  return method;
}

// The step from σ_i to σ_{i+1}, with the previous estimates as states 0 and 1.
Affine step(const std::vector<double>& sigmas, size_t i, int order, const DpmMethod& method) {
  const double sigma = sigmas[i], next = sigmas[i + 1];
  if (next == sigma) return affine::kX;
  const double e = next / sigma;
  const double decay = method.sde ? e * e : e;
  const Affine m0 = affine::kX0, m1 = affine::state(0), m2 = affine::state(1);
  Affine x = decay * affine::kX + (1 - decay) * m0;
  if (method.sde) x += next * std::sqrt(1 - e * e) * affine::kNoise;
  if (order == 1) return x;
  const double h = std::log(sigma / next);
  const double phi = method.sde ? (1 - decay) / (-2 * h) + 1 : (e - 1) / h + 1;
  const double r0 = std::log(sigmas[i - 1] / sigma) / h;
  const Affine D1_0 = (m0 - m1) / r0;
  if (order == 2) return x + (method.heun ? phi : 0.5 * (1 - decay)) * D1_0;
  const double r1 = std::log(sigmas[i - 2] / sigmas[i - 1]) / h;
  const Affine D1_1 = (m1 - m2) / r1;
  const Affine D1 = D1_0 + r0 / (r0 + r1) * (D1_0 - D1_1);
  const Affine D2 = (D1_0 - D1_1) / (r0 + r1);
  return x + phi * D1 - ((e - 1 + h) / (h * h) - 0.5) * D2;
}

}  // namespace

Result<Solver> edm_dpm_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(const DpmMethod method, read_method(config));
  ITO_ASSIGN(Solver solver, edm_solver("edm-dpm", config));
  ITO_ASSIGN(const std::vector<double> sigmas, edm_levels(config, options));
  ITO_ASSIGN(solver.limit, threshold_limit(config));
  const size_t steps = sigmas.size() - 1;
  ITO_ASSIGN(const size_t first, first_step(steps, options));
  const bool few = config.lower_order_final && steps < 15;
  for (int ago = 1; ago < method.order; ++ago) solver.states.push_back("x0_" + std::to_string(ago));
  for (size_t i = first; i < steps; ++i) {
    int order = std::min(method.order, static_cast<int>(i - first) + 1);
    if (i + 1 == steps && (config.euler_at_final || few || sigmas.back() == 0)) order = 1;
    if (i + 2 == steps && few) order = std::min(order, 2);
    SolverRow row = edm_row(config, sigmas[i], sigmas[i]);
    row.draws = method.sde;
    row.x = step(sigmas, i, order, method);
    for (size_t k = 0; k < solver.states.size(); ++k)
      row.states.push_back(k == 0 ? affine::kX0 : affine::state(k - 1));
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
