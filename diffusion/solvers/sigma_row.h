// What the solvers in σ coordinates share: x = x_0 + σ ε, of which the network of a variance
// preserving chain sees x/√(1 + σ²). Internal to this folder.
#pragma once

#include <initializer_list>

#include "diffusion/parameterization.h"
#include "diffusion/sigma_spacing.h"
#include "diffusion/solver_options.h"

namespace ito {

// What a run is made of, as configuration and options say.
struct SigmaRun {
  Prediction prediction = Prediction::kEpsilon;
  SigmaTable table;
  SigmaSteps levels;
  // Name, prior and learned variance; no rows yet. The prior's deviation is the largest σ, with
  // leading spacing √(σ² + 1), as diffusers has it.
  Solver solver;

  // σ_i to σ_{i+1} of step i.
  double sigma(size_t i) const { return levels.sigmas[i]; }
  double t(size_t i) const { return levels.timesteps[i]; }
  size_t steps() const { return levels.timesteps.size(); }
};

// Errors: what the schedule, the spacing and the options refuse; a prediction type that is not one
// of `predictions`.
Result<SigmaRun> sigma_run(const char* name, const SchedulerConfig& config,
                           const SolverOptions& options, const SigmaRules& rules,
                           std::initializer_list<Prediction> predictions);

// The first of `steps` steps that is run, at the first of its evaluations. Error:
// options.first_step is none of them.
Result<size_t> first_step(size_t steps, const SolverOptions& options);

// The evaluation at level σ: x̂_0 and ε̂ = (x - x̂_0)/σ̂. σ̂ is σ unless noise is added after the
// evaluation (SolverRow::churn); x̂_0 is that of ε at σ̂, of v at σ still.
SolverRow sigma_row(Prediction prediction, double t, double sigma, double sigma_hat);
inline SolverRow sigma_row(Prediction prediction, double t, double sigma) {
  return sigma_row(prediction, t, sigma, sigma);
}

// Noise added at level σ of a step (Karras et al. 2022, algorithm 2), of `intervals` in all.
struct Churn {
  double sigma_hat = 0;  // (1 + γ) σ
  double noise = 0;      // s_noise √(σ̂² - σ²)
};
Churn churn_at(const SolverOptions& options, double sigma, size_t intervals);
// Errors: s_churn or s_noise below 0 or not finite.
Status check_churn(const SolverOptions& options);

// The levels of an ancestral step from σ to σ': down to σ_down by the flow, up again by noise.
struct AncestralStep {
  double up = 0;    // √(σ'² (σ² - σ'²)/σ²)
  double down = 0;  // √(σ'² - up²) = σ'²/σ
};
AncestralStep ancestral_step(double sigma, double next);

}  // namespace ito
