// DDIM sampling with any η, and its inversion from data to noise (Song et al. 2021):
//   x ← √ᾱ' x̂_0 + √(1 - ᾱ' - σ²) ε̂ + σ z                                            (eq. 12)
// ᾱ' is ᾱ at t - ⌊T/steps⌋ (at the next timestep of an explicit list), σ² = η² ddim_variance.
// Before timestep 0, ᾱ' is 1 if config.set_alpha_to_one, else ᾱ_0. The config's variance_type only
// says whether the network has variance channels, which are not used. These are diffusers' numbers:
// with linspace or trailing spacing t - ⌊T/steps⌋ is not the timestep that the next step visits.
// Errors as ddpm_solver's, and η outside [0, 1].
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/posterior.h"
#include "diffusion/solvers/discrete_step.h"
#include "diffusion/timesteps.h"

namespace ito {
namespace {

// √ᾱ', √(1 - ᾱ' - σ²) and σ of eq. 12.
struct Direction {
  double on_x0 = 0;
  double on_epsilon = 0;
  double sigma = 0;
};

template <typename Real>
Direction direction_in(Real alpha_bar_next, Real variance, Real eta) {
  const Real sigma = eta * std::sqrt(variance);
  // Not negative but for rounding, as η <= 1.
  const Real rest = std::max(Real{1} - alpha_bar_next - sigma * sigma, Real{0});
  return {.on_x0 = std::sqrt(alpha_bar_next), .on_epsilon = std::sqrt(rest), .sigma = sigma};
}

Direction direction(Arithmetic arithmetic, double alpha_bar, double alpha_bar_next, double eta) {
  const double variance = eta > 0 ? ddim_variance(arithmetic, alpha_bar, alpha_bar_next) : 0;
  if (arithmetic == Arithmetic::kDouble) return direction_in<double>(alpha_bar_next, variance, eta);
  return direction_in<float>(static_cast<float>(alpha_bar_next), static_cast<float>(variance),
                             static_cast<float>(eta));
}

// What both directions share: the step from noise level ᾱ to ᾱ', at which the network is given t.
Status append_step(Solver& solver, const NoiseSchedule& schedule, Prediction prediction, double eta,
                   int t, double alpha_bar, double alpha_bar_next) {
  const NoiseLevel level = noise_level(schedule, alpha_bar);
  ITO_TRY(check_convertible(prediction, level, t));
  const Direction next = direction(schedule.arithmetic, alpha_bar, alpha_bar_next, eta);
  SolverRow row{.t = double(t), .mean = level.a, .std = level.s};
  row.x0 = x0_form(prediction, level.a, level.s);
  row.epsilon =
      epsilon_form(solver.epsilon_from_x0 ? Prediction::kSample : prediction, level.a, level.s);
  row.x =
      next.on_x0 * affine::kX0 + next.on_epsilon * affine::kEpsilon + next.sigma * affine::kNoise;
  row.draws = eta > 0;
  solver.rows.push_back(row);
  return {};
}

}  // namespace

Result<Solver> ddim_solver(const SchedulerConfig& config, const SolverOptions& options) {
  if (!(options.eta >= 0 && options.eta <= 1))
    return invalid_argument("DDIM eta is {}, expected 0 to 1", options.eta);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, options.arithmetic));
  ITO_ASSIGN(const std::vector<int> timesteps, choose_timesteps(config, options));
  ITO_TRY(check_first_step(options, timesteps.size()));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(config.prediction_type));

  Solver solver;
  solver.name = "ddim";
  ITO_ASSIGN(solver.limit, x0_limit(config));
  ITO_ASSIGN(solver.variance, ignored_variance(config));
  solver.epsilon_from_x0 = options.use_clipped_model_output;
  const double final_alpha_bar = config.set_alpha_to_one ? 1.0 : schedule.alpha_bar(0);
  for (size_t i = static_cast<size_t>(options.first_step); i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    int next = t - config.num_train_timesteps / options.steps;
    if (!options.timesteps.empty()) next = i + 1 < timesteps.size() ? timesteps[i + 1] : -1;
    const double alpha_bar_next = next >= 0 ? schedule.alpha_bar(next) : final_alpha_bar;
    ITO_TRY(append_step(solver, schedule, prediction, options.eta, t, schedule.alpha_bar(t),
                        alpha_bar_next));
  }
  return solver;
}

// The η = 0 step run upwards, from an image to the noise that would give it (diffusers'
// inverse scheduler): timesteps ascend; the step at t goes from ᾱ at t - ⌊T/steps⌋ to ᾱ_t.
// Spacing leading or trailing. x is x_0 at the start; thresholding is not used.
Result<Solver> ddim_inverse_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(const Spacing spacing, spacing_from_name(config.timestep_spacing));
  if (options.timesteps.empty() && !can_ascend(spacing))
    return invalid_argument(
        "scheduler config: timestep_spacing is \"{}\", but DDIM inversion has leading and "
        "trailing only",
        config.timestep_spacing);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, options.arithmetic));
  ITO_ASSIGN(std::vector<int> timesteps, choose_timesteps(config, options));
  ITO_TRY(check_first_step(options, timesteps.size()));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(config.prediction_type));
  std::reverse(timesteps.begin(), timesteps.end());

  Solver solver;
  solver.name = "ddim_inverse";
  ITO_ASSIGN(solver.limit, x0_limit(config));
  solver.limit.threshold = false;
  ITO_ASSIGN(solver.variance, ignored_variance(config));
  const double initial_alpha_bar = config.set_alpha_to_one ? 1.0 : schedule.alpha_bar(0);
  for (size_t i = static_cast<size_t>(options.first_step); i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    int before = t - config.num_train_timesteps / options.steps;
    if (!options.timesteps.empty()) before = i > 0 ? timesteps[i - 1] : -1;
    const double alpha_bar = before >= 0 ? schedule.alpha_bar(before) : initial_alpha_bar;
    ITO_TRY(append_step(solver, schedule, prediction, 0, t, alpha_bar, schedule.alpha_bar(t)));
  }
  return solver;
}

}  // namespace ito
