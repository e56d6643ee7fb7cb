// DPM-Solver and DPM-Solver++, singlestep, orders 1 to 3 (Lu et al. 2022, algorithms 1 and 2; Lu et
// al. 2022b, algorithm 1), for the ODE and, in terms of x_0, the SDE (dpm_solver.h). A step of
// order k spans k intervals of the run's levels and uses the outputs at their beginnings; x within
// it is made by the lower orders, from the same base. With s the level of the base, h = λ_t - λ_s,
// and outputs m at s, m₁ at λ_s + r₁ h, m₂ at λ_s + r₂ h:
//   D_1 = (m₁ - m)/r₁                                                     (order 2)
//   D_1 = (r₂ D_{1,1} - r₁ D_{1,2})/(r₂ - r₁),  D_2 = 2 (D_{1,2} - D_{1,1})/(r₂ - r₁)   (order 3)
// with D_{1,k} = (m_k - m)/r_k; "midpoint" of order 3 has D_{1,2} for D_1 and no D_2.
//
// Numbers follow diffusers: orders cycle 1 2 3, 1 2 or 1 so that a cycle is one step of the method;
// with lower_order_final, which a number of steps that is no multiple of solver_order and an end
// without noise imply, the last cycle is cut short: 1 2 1 or 1 1. Timesteps are spaced by linspace;
// Karras levels are told as the nearest whole timestep, others as that below. With the SDE each
// interval has noise of its own. A run that begins within a cycle begins a new base there.
// Errors: log_snr_run's and dpm_choice's; sde-dpmsolver.
#include "base/error.h"
#include "diffusion/solvers/dpm_solver.h"

namespace ito {
namespace {

struct SinglestepHistory {
  enum State : size_t { kBase, kM1 };  // x where the step began; earlier outputs, the newest first
};

// The order of the interval that each entry begins, within the cycles.
std::vector<int> order_list(const SchedulerConfig& config, const LogSnrRun& run) {
  const int steps = run.steps(), cycle = config.solver_order;
  std::vector<int> orders;
  for (int i = 0; i < steps; ++i) orders.push_back(i % cycle + 1);
  const bool cut = config.lower_order_final || steps % cycle != 0 || run.ends_at_zero();
  // Of whole cycles the last gives one interval to a step of order 1; cut ones end as they are.
  if (cut && steps % cycle == 0) orders.back() = 1;
  if (run.ends_at_zero()) orders.back() = 1;
  return orders;
}

// x at entry i + 1 from the base, by the outputs at entries i, i - 1, ..., i - order + 1.
Affine interval(const DpmChoice& choice, const LogSnrRun& run, int i, int order) {
  using enum SinglestepHistory::State;
  const Affine newest = choice.algorithm->output();
  const Moment &t = run.at(i + 1), &s = run.at(i - order + 1);
  const DpmWeights w = choice.weights(s, t);
  const auto ratio = [&](int entry) {
    return (run.at(entry).lambda - s.lambda) / (t.lambda - s.lambda);
  };
  const Affine base = order == 1 ? affine::kX : affine::state(kBase);
  const Affine linear = w.x * base + w.z * affine::kNoise;
  if (order == 1) return linear + w.d0 * newest;
  if (order == 2) {
    const Affine m = affine::state(kM1), m1 = newest;
    const Affine D1 = (m1 - m) / ratio(i);
    return linear + w.d0 * m + choice.second(w) * D1;
  }
  const Affine m = affine::state(kM1 + 1), m1 = affine::state(kM1), m2 = newest;
  const double r1 = ratio(i - 1), r2 = ratio(i);
  const Affine D11 = (m1 - m) / r1, D12 = (m2 - m) / r2;
  if (!choice.heun) return linear + w.d0 * m + w.d1 * D12;
  const Affine D1 = (r2 * D11 - r1 * D12) / (r2 - r1);
  const Affine D2 = 2 * (D12 - D11) / (r2 - r1);
  return linear + w.d0 * m + w.d1 * D1 + w.d2 * D2;
}

}  // namespace

Result<Solver> dpm_singlestep_solver(const SchedulerConfig& config, const SolverOptions& options) {
  const SigmaRules rules{.grid = SigmaRules::Grid::kWhole,
                         .final_sigma = SigmaRules::Final::kConfigured,
                         .flow = SigmaRules::Flow::kBelowOne,
                         .round_karras = true,
                         .clip_lambda = true};
  SchedulerConfig spaced = config;
  spaced.timestep_spacing = "linspace";
  ITO_ASSIGN(const LogSnrRun run, log_snr_run(spaced, options, rules));
  ITO_ASSIGN(const DpmChoice choice, dpm_choice(config, run));
  if (config.solver_order > choice.algorithm->singlestep_order)
    return invalid_argument(
        "scheduler config: algorithm_type {} has no singlestep solver; expected dpmsolver++, "
        "dpmsolver or sde-dpmsolver++",
        choice.algorithm->name.name);

  ITO_ASSIGN(Solver solver, dpm_solver("dpm-singlestep", config, choice));
  using enum SinglestepHistory::State;
  const int history = config.solver_order - 1;
  if (history > 0) solver.states.push_back("base");
  add_history(solver, history);
  const std::vector<int> orders = order_list(config, run);
  for (int i = options.first_step; i < run.steps(); ++i) {
    const int order = std::min(orders[static_cast<size_t>(i)], i - options.first_step + 1);
    SolverRow row = run.row(i, solver);
    row.draws = choice.algorithm->stochastic;
    row.x = interval(choice, run, i, order);
    if (history > 0 && order == 1) row.states[kBase] = affine::kX;
    push_history(row, choice.algorithm->output(), kM1, static_cast<size_t>(history));
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
