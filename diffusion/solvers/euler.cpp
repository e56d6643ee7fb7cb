// Euler's method on the probability flow in σ, dx/dσ = (x - x̂_0)/σ (Karras et al. 2022, algorithm 2
// without its second-order correction):
//   x̂ ← x + s_noise √(σ̂² - σ²) z,  σ̂ = (1 + γ) σ,  x ← x̂ + (σ' - σ̂) (x̂ - x̂_0)/σ̂
// γ = min(s_churn/steps, √2 - 1) where s_tmin <= σ <= s_tmax, else 0. These are diffusers' numbers:
// the network is asked at x and σ, before the noise is added, and of a v-prediction x̂_0 is taken at
// σ. timestep_type "continuous" tells v-predicting networks ln(σ)/4 in place of timesteps. With
// log-linear interpolation the last of steps + 1 levels is never left.
// Errors: unknown names, s_churn or s_noise below 0, prediction flow.
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "diffusion/solvers/sigma_row.h"

namespace ito {

namespace {

// What the network is told.
struct TimestepType {
  Name name;
  bool continuous;
};
constexpr TimestepType kTimestepTypes[] = {
    {{"discrete", "the timestep", "", ""}, false},
    {{"continuous", "ln(sigma)/4", "Karras et al. 2022, table 1", ""}, true},
};

}  // namespace

std::vector<Name> timestep_type_choices() { return names_of(kTimestepTypes); }

Result<Solver> euler_solver(const SchedulerConfig& config, const SolverOptions& options) {
  const SigmaRules rules{
      .final_sigma = SigmaRules::Final::kConfigured, .configured_range = true, .log_linear = true};
  ITO_ASSIGN(SigmaRun run, sigma_run("euler", config, options, rules,
                                     {Prediction::kEpsilon, Prediction::kV, Prediction::kSample}));
  ITO_TRY(check_churn(options));
  ITO_ASSIGN(const TimestepType* told,
             row_called(std::span<const TimestepType>(kTimestepTypes), config.timestep_type,
                        "scheduler config: timestep_type"));
  const bool continuous = told->continuous && is_told_level(run.prediction);
  if (continuous && !options.timesteps.empty())
    return invalid_argument(
        "a list of timesteps is given, but the network is told noise levels (timestep_type "
        "continuous); expected a number of steps");

  ITO_ASSIGN(const size_t first, first_step(run.steps(), options));
  Solver& solver = run.solver;
  for (size_t i = first; i < run.steps(); ++i) {
    const double sigma = run.sigma(i), next = run.sigma(i + 1);
    const Churn churn = churn_at(options, sigma, run.levels.sigmas.size() - 1);
    const double t = continuous ? 0.25 * std::log(sigma) : run.t(i);
    SolverRow row = sigma_row(run.prediction, t, sigma, churn.sigma_hat);
    row.churn = churn.noise;
    row.x = affine::kX + (next - churn.sigma_hat) * affine::kEpsilon;
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
