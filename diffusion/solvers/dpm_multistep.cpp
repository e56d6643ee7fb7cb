// DPM-Solver and DPM-Solver++, multistep, orders 1 to 3 (Lu et al. 2022, 2022b), for the
// probability-flow ODE and the reverse SDE (dpm_solver.h). The steps are multistep's
// there.
//
// Numbers follow diffusers: the first steps have lower order, and with lower_order_final the last
// two as well where there are fewer than 15; the last is of order 1 where it ends without noise or
// euler_at_final is set. Karras and Lu levels are told as the nearest whole timestep, others, and
// all with the cosine schedule, as that below.
// Errors: log_snr_run's and dpm_choice's; order 3 with sde-dpmsolver.
#include "base/error.h"
#include "diffusion/solvers/dpm_solver.h"

namespace ito {

Result<Solver> dpm_multistep_solver(const SchedulerConfig& config, const SolverOptions& options) {
  const SigmaRules rules{.grid = SigmaRules::Grid::kWhole,
                         .final_sigma = SigmaRules::Final::kConfigured,
                         .flow = SigmaRules::Flow::kBelowOne,
                         .round_karras = !has_cosine_betas(config),
                         .clip_lambda = true};
  ITO_ASSIGN(const LogSnrRun run, log_snr_run(config, options, rules));
  ITO_ASSIGN(const DpmChoice choice, dpm_choice(config, run));
  if (config.solver_order > choice.algorithm->multistep_order)
    return invalid_argument(
        "scheduler config: algorithm_type {} has solver_order 1 to {}, found {}",
        choice.algorithm->name.name, choice.algorithm->multistep_order, config.solver_order);

  ITO_ASSIGN(Solver solver, dpm_solver("dpm-multistep", config, choice));
  const int history = config.solver_order - 1;
  add_history(solver, history);
  const bool euler_last = config.euler_at_final || run.ends_at_zero();
  for (int i = options.first_step; i < run.steps(); ++i) {
    int order = multistep_order(config, i, options.first_step, run.steps());
    // A step that goes nowhere, from the least level to itself, has no ratios.
    const bool nowhere = run.at(i).lambda == run.at(i + 1).lambda;
    if (nowhere || (i + 1 == run.steps() && euler_last)) order = 1;
    SolverRow row = run.row(i, solver);
    row.draws = choice.algorithm->stochastic;
    row.x = multistep(choice, run, i, order);
    push_history(row, choice.algorithm->output(), 0, solver.states.size());
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
