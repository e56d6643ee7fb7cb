// DPM-Solver++ for the reverse SDE with two evaluations per step (k-diffusion's sampler of that
// name; Lu et al. 2022b, section 4.3): the exponential midpoint method in λ = -ln σ, each half
// ancestral. From σ towards σ_m = √(σ σ'), and then from the same x to σ' with x̂_0 of the middle:
//   x_m = (down_m/σ) x + (1 - down_m/σ) x̂_0 + s_noise up_m z
//   x   ← (down/σ) x + (1 - down/σ) x̂_0(x_m) + s_noise up z
// up and down of σ to σ_m and of σ to σ' (sigma_row.h). The last step, to σ = 0, is x̂_0.
// Both noises come from one Brownian path in σ: that of the whole step contains that of its half,
// with correlation ρ = √((σ - σ_m)/(σ - σ')), without which the order would drop to 1. The
// published sampler draws its path from a tree of its own seed (noise_sampler_seed, not used here):
// the same law, other numbers.
// Errors: unknown names, predictions other than epsilon and v_prediction; s_noise below 0.
#include <algorithm>
#include <cmath>

#include "diffusion/solvers/sigma_row.h"

namespace ito {
namespace {

Affine half_step(double sigma, double next, const Affine& from, const Affine& noise) {
  AncestralStep step = ancestral_step(sigma, next);
  step.up = std::min(step.up, next);
  const double kept = step.down / sigma;
  return kept * from + (1 - kept) * affine::kX0 + step.up * noise;
}

}  // namespace

Result<Solver> dpm_sde_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_TRY(check_churn(options));
  ITO_ASSIGN(SigmaRun run,
             sigma_run("dpm-sde", config, options, {}, {Prediction::kEpsilon, Prediction::kV}));
  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  solver.states = {"base", "noise"};  // x at the beginning of the step, z of its half
  const Affine base = affine::state(0), half_noise = affine::state(1);
  for (size_t i = first; i < run.steps(); ++i) {
    const double sigma = run.sigma(i), next = run.sigma(i + 1);
    const double middle = std::sqrt(sigma * next);
    SolverRow row = sigma_row(run.prediction, run.t(i), sigma);
    row.x = half_step(sigma, middle, affine::kX, options.s_noise * affine::kNoise);
    const bool last = i + 1 == run.steps();  // one evaluation, and no noise
    row.states = {affine::kX, last ? Affine{} : affine::kNoise};
    solver.rows.push_back(row);
    if (last) break;
    SolverRow second = sigma_row(run.prediction, run.table.timestep_of(middle), middle);
    const double rho = std::sqrt((sigma - middle) / (sigma - next));
    const Affine noise = rho * half_noise + std::sqrt(1 - rho * rho) * affine::kNoise;
    second.x = half_step(sigma, next, base, options.s_noise * noise);
    second.states = {Affine{}, Affine{}};
    solver.rows.push_back(second);
  }
  return solver;
}

}  // namespace ito
