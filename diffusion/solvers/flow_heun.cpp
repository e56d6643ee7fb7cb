// Heun's method on the straight path (flow_euler.cpp), with two evaluations per step and one for
// the last step to σ = 0; y is the velocity:
//   x' = x̂ + (σ' - σ̂) (σ/σ̂) y,  x ← x̂ + (σ' - σ̂) ((σ/σ̂) y + y')/2
// x̂ = x + s_noise √(σ̂² - σ²) z, σ̂ = (1 + γ) σ with churn, which are diffusers' numbers: the network
// is asked at x and σ, and γ = min(s_churn/(2 steps - 1), √2 - 1). (On this path a level is not
// reached by adding noise alone; churn 0 is the method of the papers.)
// Levels as flow_euler's without its options.
// Errors: a shift not above 0, s_churn or s_noise below 0.
#include "diffusion/solvers/flow_row.h"

namespace ito {

Result<Solver> flow_heun_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_TRY(check_flow(config));
  ITO_TRY(check_churn(options));
  ITO_ASSIGN(std::vector<double> sigmas, flow_grid(config, options));
  for (double& sigma : sigmas) sigma = shifted_level(config.shift, sigma);
  const size_t steps = sigmas.size();
  ITO_ASSIGN(const size_t first, first_step(steps, options));
  sigmas.push_back(0);
  round_levels(sigmas, options);

  Solver solver;
  solver.name = "flow-heun";
  solver.states = {"half"};  // x̂ + (σ' - σ̂) (σ/σ̂) y/2
  const Affine half = affine::state(0);
  const Affine velocity = affine::kEpsilon - affine::kX0;
  for (size_t i = first; i < steps; ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Churn churn = churn_at(options, sigma, 2 * steps - 1);
    const double dt = next - churn.sigma_hat;
    const Affine move = dt * sigma / churn.sigma_hat * velocity;
    SolverRow row = flow_row(config, options, sigma);
    row.churn = churn.noise;
    row.x = affine::kX + move;
    row.states = {affine::kX + 0.5 * move};
    solver.rows.push_back(row);
    if (i + 1 == steps) break;
    SolverRow second = flow_row(config, options, next);
    second.draws = churn.noise > 0;
    second.x = half + 0.5 * dt * velocity;
    second.states = {Affine{}};
    solver.rows.push_back(second);
  }
  return solver;
}

}  // namespace ito
