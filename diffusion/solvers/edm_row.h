// What the solvers of EDM's process share: its noise levels and the evaluation of a network with
// EDM's preconditioning (diffusion/edm.h). Internal to this folder.
#pragma once

#include <vector>

#include "diffusion/solver_options.h"

namespace ito {

// [steps + 1] levels: Karras's with config.rho or evenly spaced in log σ (sigma_schedule), between
// sigma_max and sigma_min; then 0, or sigma_min again (final_sigmas_type). Rounded to float32 as
// options.arithmetic says. Errors: unknown names, not 0 < sigma_min < sigma_max, sigma_data or rho
// not above 0, steps below 1.
Result<std::vector<double>> edm_levels(const SchedulerConfig& config, const SolverOptions& options);

// The evaluation at level σ: the network F sees c_in(σ) x and c_noise(σ) = ln(σ)/4;
// x̂_0 = c_skip(σ̂) x + c_out(σ̂) F and ε̂ = (x - x̂_0)/σ̂. With prediction_type v_prediction the
// network is -F. σ̂ is σ unless noise is added after the evaluation.
// CHECK: prediction_type is one of the two (edm_solver).
SolverRow edm_row(const SchedulerConfig& config, double sigma, double sigma_hat);

// A solver of that process without rows: name and prior √(σ_max² + 1). Errors: a prediction_type
// other than epsilon and v_prediction.
Result<Solver> edm_solver(const char* name, const SchedulerConfig& config);

}  // namespace ito
