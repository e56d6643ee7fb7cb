// DDPM ancestral sampling (Ho et al. 2020, algorithm 2), strided as in Nichol & Dhariwal 2021, with
// every variance of diffusers' DDPM scheduler:
//   x ← on_x x + on_x0 x̂_0 + std z
// the posterior of diffusion/posterior.h with x̂_0 in place of x_0. No noise at timestep 0. With
// variance_type learned or learned_range the network's last c channels of 2c are the variance.
// Errors: any value of the config that is unknown or out of range; more steps than timesteps; a
// prediction type that says nothing where ᾱ = 0 (zero terminal SNR with epsilon).
#include <cmath>

#include "diffusion/posterior.h"
#include "diffusion/solvers/discrete_step.h"

namespace ito {
namespace {

LearnedVariance learned_variance(VarianceType type) {
  if (!is_learned(type)) return LearnedVariance::kNone;
  return is_range(type) ? LearnedVariance::kRange : LearnedVariance::kDirect;
}

}  // namespace

Result<Solver> ddpm_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, options.arithmetic));
  ITO_ASSIGN(const std::vector<int> timesteps, choose_timesteps(config, options));
  ITO_TRY(check_first_step(options, timesteps.size()));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(config.prediction_type));
  ITO_ASSIGN(const VarianceType variance, variance_type_from_name(config.variance_type));

  Solver solver;
  solver.name = "ddpm";
  ITO_ASSIGN(solver.limit, x0_limit(config));
  solver.variance = learned_variance(variance);
  for (size_t i = static_cast<size_t>(options.first_step); i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    const int previous = i + 1 < timesteps.size() ? timesteps[i + 1] : -1;
    const NoiseLevel level = noise_level(schedule, schedule.alpha_bar(t));
    ITO_TRY(check_convertible(prediction, level, t));
    const Posterior step = posterior(schedule, t, previous);
    double deviation = 0;
    if (t > 0) deviation = is_learned(variance) ? 1 : reverse_std(schedule, variance, t, previous);
    SolverRow row{.t = double(t), .mean = level.a, .std = level.s};
    row.x0 = x0_form(prediction, level.a, level.s);
    row.x = step.on_x0 * affine::kX0 + step.on_x * affine::kX + deviation * affine::kNoise;
    if (is_range(variance)) {
      const LogVarianceRange range = log_variance_range(schedule, t, previous);
      row.log_variance_low = range.low;
      row.log_variance_high = range.high;
    }
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
