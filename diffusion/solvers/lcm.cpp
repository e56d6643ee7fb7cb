// Latent consistency models' multistep sampling (Luo et al. 2023, algorithm 3): the network's
// estimate of x_0 becomes the consistency function, and is noised again to the next timestep:
//   f = c_skip x + c_out x̂_0,  x ← √ᾱ' f + √(1-ᾱ') z,  the last x ← f
// c_skip = σ_d²/(s² + σ_d²), c_out = s/√(s² + σ_d²) with s = timestep_scaling t, σ_d = 1/2.
// Timesteps are taken from those of distillation, i ⌊T/original_inference_steps⌋ - 1, at ⌊i
// original/steps⌋ from the noisiest, or are options.timesteps.
// Errors: as ddpm_solver's; more steps than original_inference_steps; prediction flow.
#include <cmath>

#include "base/error.h"
#include "diffusion/solvers/discrete_step.h"
#include "diffusion/timesteps.h"

namespace ito {
namespace {

Result<std::vector<int>> lcm_timesteps(const SchedulerConfig& config,
                                       const SolverOptions& options) {
  const int total = config.num_train_timesteps, original = config.original_inference_steps;
  if (!options.timesteps.empty()) {
    ITO_TRY(check_timesteps(options.timesteps, total));
    return options.timesteps;
  }
  if (original < 1 || original > total)
    return invalid_argument(
        "scheduler config: original_inference_steps is {}, expected 1 to {} (num_train_timesteps)",
        original, total);
  if (options.steps < 1 || options.steps > original)
    return invalid_argument(
        "number of sampling steps is {}, expected 1 to {} (original_inference_steps)",
        options.steps, original);
  std::vector<int> timesteps;
  const double stride = static_cast<double>(original) / options.steps;
  for (int i = 0; i < options.steps; ++i) {
    const int from_noisiest = static_cast<int>(std::floor(i * stride));
    timesteps.push_back((original - from_noisiest) * (total / original) - 1);
  }
  return timesteps;
}

}  // namespace

Result<Solver> lcm_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, options.arithmetic));
  ITO_ASSIGN(const std::vector<int> timesteps, lcm_timesteps(config, options));
  ITO_TRY(check_first_step(options, timesteps.size()));
  ITO_ASSIGN(
      const Prediction prediction,
      prediction_among(config.prediction_type,
                       {Prediction::kEpsilon, Prediction::kV, Prediction::kSample}, "sampler lcm"));

  Solver solver;
  solver.name = "lcm";
  ITO_ASSIGN(solver.limit, x0_limit(config));
  ITO_ASSIGN(solver.variance, ignored_variance(config));
  constexpr double kSigmaData = 0.5;
  for (size_t i = static_cast<size_t>(options.first_step); i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    const NoiseLevel level = noise_level(schedule, schedule.alpha_bar(t));
    ITO_TRY(check_convertible(prediction, level, t));
    const double s = t * config.timestep_scaling;
    const double norm = s * s + kSigmaData * kSigmaData;
    const Affine denoised =
        kSigmaData * kSigmaData / norm * affine::kX + s / std::sqrt(norm) * affine::kX0;
    SolverRow row{.t = double(t), .mean = level.a, .std = level.s};
    row.x0 = x0_form(prediction, level.a, level.s);
    row.x = denoised;
    if (i + 1 < timesteps.size()) {
      const NoiseLevel next = noise_level(schedule, schedule.alpha_bar(timesteps[i + 1]));
      row.x = next.a * denoised + next.s * affine::kNoise;
    }
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
