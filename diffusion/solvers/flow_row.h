// What the solvers on the straight path x = (1-σ) x_0 + σ ε share. Internal to this folder.
#pragma once

#include <vector>

#include "diffusion/flow_levels.h"
#include "diffusion/sigma_spacing.h"
#include "diffusion/solvers/sigma_row.h"

namespace ito {

// Errors: a prediction_type other than flow_prediction, num_train_timesteps below 1, a shift not
// above 0.
Status check_flow(const SchedulerConfig& config);

// Levels evenly spaced between those of the last and the first training timestep, 1 and the
// shifted 1/T. Errors: fewer than 1 step.
Result<std::vector<double>> flow_grid(const SchedulerConfig& config, const SolverOptions& options);

// To float32, unless the arithmetic is double.
void round_levels(std::vector<double>& levels, const SolverOptions& options);

// The evaluation at level σ: the network is told T σ and gives y = ε - x_0, so x̂_0 = x - σ y and
// ε̂ = x + (1-σ) y.
SolverRow flow_row(const SchedulerConfig& config, const SolverOptions& options, double sigma);

}  // namespace ito
