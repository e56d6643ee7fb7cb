// The ancestral sampler of unCLIP's priors and decoders (Ramesh et al. 2022; steps of Nichol &
// Dhariwal 2021, section 4, on the cosine schedule), at timesteps round(i (T-1)/(steps-1)):
//   x ← √ᾱ' β/(1-ᾱ) x̂_0 + √(1-β) (1-ᾱ')/(1-ᾱ) x + σ z
// with β = 1 - ᾱ/ᾱ', of neighbouring timesteps the schedule's own β_t. σ² is β̃ = (1-ᾱ')/(1-ᾱ) β, or
// lies between β̃ and β where the network says (learned_range). No noise at timestep 0. The
// schedule's own β_t and float32 arithmetic are what sets this apart from ddpm_solver: at small t
// its 1 - ᾱ has few digits, and published numbers have these.
// Errors: another beta_schedule, variance_type or prediction_type; one step, of which the
// timesteps are not defined; more steps than timesteps.
#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/posterior.h"
#include "diffusion/solvers/discrete_step.h"

namespace ito {
namespace {

struct UnclipVariance {
  Name name;
  bool learned;
};
constexpr UnclipVariance kUnclipVariances[] = {
    {{"fixed_small_log", "the posterior's", "Ho et al. 2020, eq. 7", ""}, false},
    {{"learned_range", "as the network says", "Nichol & Dhariwal 2021, eq. 15", ""}, true},
};

Status check(const SchedulerConfig& config, const SolverOptions& options) {
  if (!has_cosine_betas(config) || config.trained_betas)
    return invalid_argument(
        "scheduler config: the sampler unclip has the schedule squaredcos_cap_v2 only, found {}",
        config.trained_betas ? "trained_betas" : config.beta_schedule);
  if (options.timesteps.empty() && options.steps < 2)
    return invalid_argument("number of sampling steps is {}, expected at least 2 for unclip",
                            options.steps);
  return {};
}

struct Step {
  double on_x0 = 0, on_x = 0;
  double beta = 0, variance = 0;  // β and β̃
};

template <typename Real>
Step step_in(const NoiseSchedule& schedule, int t, int previous) {
  const Real alpha_bar = static_cast<Real>(schedule.alpha_bar(t));
  const Real before = static_cast<Real>(schedule.alpha_bar(previous));
  const Real left = Real{1} - alpha_bar, left_before = Real{1} - before;
  const Real beta = previous == t - 1 ? static_cast<Real>(schedule.betas[static_cast<size_t>(t)])
                                      : Real{1} - alpha_bar / before;
  const Real alpha = Real{1} - beta;
  return {.on_x0 = std::sqrt(before) * beta / left,
          .on_x = std::sqrt(alpha) * left_before / left,
          .beta = beta,
          .variance = left_before / left * beta};
}

}  // namespace

Result<Solver> unclip_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_TRY(check(config, options));
  ITO_ASSIGN(const UnclipVariance* variance,
             row_called(std::span<const UnclipVariance>(kUnclipVariances), config.variance_type,
                        "sampler unclip: variance_type"));
  const bool learned = variance->learned;
  ITO_ASSIGN(const Prediction prediction,
             prediction_among(config.prediction_type, {Prediction::kEpsilon, Prediction::kSample},
                              "sampler unclip"));
  SchedulerConfig spaced = config;
  spaced.timestep_spacing = "linspace";
  ITO_ASSIGN(const std::vector<int> timesteps, choose_timesteps(spaced, options));
  ITO_TRY(check_first_step(options, timesteps.size()));
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, options.arithmetic));

  Solver solver;
  solver.name = "unclip";
  ITO_ASSIGN(solver.limit, x0_limit(config));
  solver.limit.threshold = false;
  solver.variance = learned ? LearnedVariance::kRange : LearnedVariance::kNone;
  for (size_t i = static_cast<size_t>(options.first_step); i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    const int previous = i + 1 < timesteps.size() ? timesteps[i + 1] : t - 1;
    const Step step = options.arithmetic == Arithmetic::kDouble
                          ? step_in<double>(schedule, t, previous)
                          : step_in<float>(schedule, t, previous);
    const NoiseLevel level = noise_level(schedule, schedule.alpha_bar(t));
    SolverRow row{.t = double(t), .mean = level.a, .std = level.s};
    row.x0 = x0_form(prediction, level.a, level.s);
    const double least = std::max(step.variance, kMinVariance);
    const double deviation = t == 0 ? 0 : learned ? 1 : std::sqrt(least);
    row.x = step.on_x0 * affine::kX0 + step.on_x * affine::kX + deviation * affine::kNoise;
    if (learned) {
      row.log_variance_low = std::log(least);
      row.log_variance_high = std::log(step.beta);
    }
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
