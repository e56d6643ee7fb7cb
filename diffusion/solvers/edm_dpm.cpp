// DPM-Solver++ multistep on EDM's process, of orders 1 to 3, deterministic or as an SDE: the steps
// of dpm_solver.h with α = 1, so λ = -ln σ (Lu et al. 2022b, algorithm 2 and appendix A). The first
// steps are of lower order; so is the last (with euler_at_final, a final σ of 0, or
// lower_order_final and fewer than 15 steps) and the one before it (the latter). Errors: unknown
// names, values out of range; an algorithm in ε; order 3 as an SDE, which has no such step in
// published code.
#include <cmath>

#include "base/error.h"
#include "diffusion/solvers/dpm_solver.h"
#include "diffusion/solvers/edm_row.h"
#include "diffusion/solvers/sigma_row.h"
#include "diffusion/x0_limit.h"

namespace ito {
namespace {

Result<DpmChoice> read_method(const SchedulerConfig& config, const LogSnrRun& run) {
  if (config.solver_order < 1 || config.solver_order > 3)
    return invalid_argument("scheduler config: solver_order is {}, expected 1 to 3",
                            config.solver_order);
  ITO_ASSIGN(const DpmChoice choice, dpm_choice(config, run));
  if (!choice.algorithm->data)
    return invalid_argument(
        "scheduler config: algorithm_type is \"{}\", expected dpmsolver++ or sde-dpmsolver++",
        config.algorithm_type);
  if (choice.algorithm->stochastic && config.solver_order == 3)
    return invalid_argument(
        "scheduler config: solver_order is 3, but {} has orders 1 and 2 only on EDM's process",
        choice.algorithm->name.name);
  return choice;
}

}  // namespace

Result<Solver> edm_dpm_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(Solver solver, edm_solver("edm-dpm", config));
  ITO_ASSIGN(const std::vector<double> sigmas, edm_levels(config, options));
  ITO_ASSIGN(solver.limit, threshold_limit(config));
  LogSnrRun run;
  for (double sigma : sigmas)
    run.moments.push_back({.alpha = 1, .sigma = sigma, .lambda = -std::log(sigma)});
  ITO_ASSIGN(const DpmChoice choice, read_method(config, run));
  const int steps = static_cast<int>(sigmas.size()) - 1;
  ITO_ASSIGN(const size_t first, first_step(static_cast<size_t>(steps), options));
  for (int ago = 1; ago < config.solver_order; ++ago)
    solver.states.push_back("x0_" + std::to_string(ago));
  const bool euler_last = config.euler_at_final || run.ends_at_zero();
  for (int i = static_cast<int>(first); i < steps; ++i) {
    int order = multistep_order(config, i, static_cast<int>(first), steps);
    const double sigma = run.at(i).sigma;
    // A step that goes nowhere, from the least level to itself, has no ratios.
    if (sigma == run.at(i + 1).sigma || (i + 1 == steps && euler_last)) order = 1;
    SolverRow row = edm_row(config, sigma, sigma);
    row.draws = choice.algorithm->stochastic;
    row.x = multistep(choice, run, i, order);
    row.states.resize(solver.states.size());
    push_history(row, affine::kX0, 0, solver.states.size());
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
