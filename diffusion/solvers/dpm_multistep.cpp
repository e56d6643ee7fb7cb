// DPM-Solver and DPM-Solver++, multistep, orders 1 to 3 (Lu et al. 2022, 2022b), for the
// probability-flow ODE and the reverse SDE (dpm_solver.h). With m the newest converted output, m₁
// and m₂ those before, h = λ_t - λ_s, r₀ = (λ_s - λ_{s₁})/h and r₁ = (λ_{s₁} - λ_{s₂})/h:
//   D_1 = (m - m₁)/r₀                                                       (2022b, alg. 2)
//   D_1 = D_{1,0} + r₀/(r₀ + r₁) (D_{1,0} - D_{1,1}),  D_2 = (D_{1,0} - D_{1,1})/(r₀ + r₁)
// with D_{1,0} = (m - m₁)/r₀ and D_{1,1} = (m₁ - m₂)/r₁.
// D_2, as published code has it, is half of h² m'', whose weight is d2: the method of order 3 is
// one of order 2 with a small constant.
//
// Numbers follow diffusers: the first steps have lower order, and with lower_order_final the last
// two as well where there are fewer than 15; the last is of order 1 where it ends without noise or
// euler_at_final is set. Karras and Lu levels are told as the nearest whole timestep, others, and
// all with the cosine schedule, as that below.
// Errors: log_snr_run's and dpm_choice's; order 3 with sde-dpmsolver.
#include "base/error.h"
#include "diffusion/solvers/dpm_solver.h"

namespace ito {
namespace {

enum State : size_t { kM1 };  // the newest earlier output, and those before it

Affine second_order(const DpmChoice& choice, const LogSnrRun& run, int i) {
  const Moment &t = run.at(i + 1), &s = run.at(i), &s1 = run.at(i - 1);
  const double r0 = (s.lambda - s1.lambda) / (t.lambda - s.lambda);
  const DpmWeights w = choice.weights(s, t);
  const Affine m = choice.algorithm->output(), m1 = affine::state(kM1);
  const Affine D1 = (m - m1) / r0;
  return w.x * affine::kX + w.d0 * m + choice.second(w) * D1 + w.z * affine::kNoise;
}

Affine third_order(const DpmChoice& choice, const LogSnrRun& run, int i) {
  const Moment &t = run.at(i + 1), &s = run.at(i), &s1 = run.at(i - 1), &s2 = run.at(i - 2);
  const double h = t.lambda - s.lambda;
  const double r0 = (s.lambda - s1.lambda) / h, r1 = (s1.lambda - s2.lambda) / h;
  const DpmWeights w = choice.weights(s, t);
  const Affine m = choice.algorithm->output(), m1 = affine::state(kM1), m2 = affine::state(kM1 + 1);
  const Affine D10 = (m - m1) / r0, D11 = (m1 - m2) / r1;
  const Affine D1 = D10 + r0 / (r0 + r1) * (D10 - D11);
  const Affine D2 = (D10 - D11) / (r0 + r1);
  return w.x * affine::kX + w.d0 * m + w.d1 * D1 + w.d2 * D2 + w.z * affine::kNoise;
}

Affine first_order(const DpmChoice& choice, const LogSnrRun& run, int i) {
  const DpmWeights w = choice.weights(run.at(i), run.at(i + 1));
  return w.x * affine::kX + w.d0 * choice.algorithm->output() + w.z * affine::kNoise;
}

}  // namespace

Result<Solver> dpm_multistep_solver(const SchedulerConfig& config, const SolverOptions& options) {
  const SigmaRules rules{.grid = SigmaRules::Grid::kWhole,
                         .final_sigma = SigmaRules::Final::kConfigured,
                         .flow = SigmaRules::Flow::kBelowOne,
                         .round_karras = config.beta_schedule != "squaredcos_cap_v2",
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
    row.x = first_order(choice, run, i);
    if (order == 2) row.x = second_order(choice, run, i);
    if (order == 3) row.x = third_order(choice, run, i);
    push_history(row, choice.algorithm->output(), kM1, solver.states.size());
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
