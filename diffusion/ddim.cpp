#include "diffusion/ddim.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/discrete_step.h"
#include "diffusion/parameterization.h"
#include "diffusion/posterior.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Columns of the coefficient table.
enum Column : size_t {
  kX0OnX,
  kX0OnOutput,
  kX0Scale,
  kEpsOnX,
  kEpsOnOutput,  // times x_0 instead, when ε comes from the clipped x_0
  kEpsScale,
  kNextOnX0,
  kNextOnEps,
  kNoise,
};

struct StepOptions {
  X0Limit limit;
  bool epsilon_from_x0 = false;
  bool learned_variance = false;
};

StepResult build_step(const StepInputs& in, const StepOptions& options) {
  const auto& c = in.coefficients;
  const Tensor output = split_output(in.output, options.learned_variance).first;
  Tensor x0 = (c[kX0OnX] * in.x + c[kX0OnOutput] * output) * c[kX0Scale];
  x0 = limit_x0(x0, options.limit);
  const Tensor source = options.epsilon_from_x0 ? x0 : output;
  const Tensor epsilon = (c[kEpsOnX] * in.x + c[kEpsOnOutput] * source) * c[kEpsScale];
  Tensor x = c[kNextOnX0] * x0 + c[kNextOnEps] * epsilon;
  if (in.noise) x = x + c[kNoise] * in.noise;
  return {.x = x, .x0 = x0, .history = {}};
}

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
Status append_step(Sampler& sampler, const NoiseSchedule& schedule, Prediction prediction,
                   const DdimOptions& options, int t, double alpha_bar, double alpha_bar_next) {
  const NoiseLevel level = noise_level(schedule, alpha_bar);
  ITO_TRY(check_convertible(prediction, level, t));
  const LinearForm x0 = x0_form(prediction, level.a, level.s);
  const LinearForm epsilon = epsilon_form(
      options.use_clipped_model_output ? Prediction::kSample : prediction, level.a, level.s);
  const Direction next = direction(schedule.arithmetic, alpha_bar, alpha_bar_next, options.eta);
  sampler.timesteps.push_back(t);
  sampler.noise_used.push_back(options.eta > 0);
  append_row(sampler, {x0.on_x, x0.on_output, x0.scale, epsilon.on_x, epsilon.on_output,
                       epsilon.scale, next.on_x0, next.on_epsilon, next.sigma});
  return {};
}

Sampler empty_sampler(std::string name) {
  Sampler sampler;
  sampler.name = std::move(name);
  sampler.columns = {"x0_on_x",   "x0_on_output", "x0_scale",    "eps_on_x", "eps_on_output",
                     "eps_scale", "next_on_x0",   "next_on_eps", "noise"};
  return sampler;
}

}  // namespace

Result<Sampler> ddim_sampler(const SchedulerConfig& config, const TimestepChoice& choice,
                             const DdimOptions& options, Arithmetic arithmetic) {
  if (!(options.eta >= 0 && options.eta <= 1))
    return invalid_argument("DDIM eta is {}, expected 0 to 1", options.eta);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, arithmetic));
  ITO_ASSIGN(const std::vector<int> timesteps, choose_timesteps(config, choice));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(config.prediction_type));
  ITO_ASSIGN(const VarianceType variance, variance_type_from_name(config.variance_type));
  ITO_ASSIGN(const X0Limit limit, x0_limit(config));

  Sampler sampler = empty_sampler("ddim");
  const double final_alpha_bar = config.set_alpha_to_one ? 1.0 : schedule.alpha_bar(0);
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    int next = t - config.num_train_timesteps / choice.steps;
    if (!choice.timesteps.empty()) next = i + 1 < timesteps.size() ? timesteps[i + 1] : -1;
    const double alpha_bar_next = next >= 0 ? schedule.alpha_bar(next) : final_alpha_bar;
    ITO_TRY(append_step(sampler, schedule, prediction, options, t, schedule.alpha_bar(t),
                        alpha_bar_next));
  }
  const StepOptions step{.limit = limit,
                         .epsilon_from_x0 = options.use_clipped_model_output,
                         .learned_variance = is_learned(variance)};
  sampler.output_multiple = step.learned_variance ? 2 : 1;
  sampler.build = [step](const StepInputs& in) { return build_step(in, step); };
  return sampler;
}

Result<Sampler> ddim_inverse_sampler(const SchedulerConfig& config, const TimestepChoice& choice,
                                     Arithmetic arithmetic) {
  if (choice.timesteps.empty() && config.timestep_spacing == "linspace")
    return invalid_argument(
        "scheduler config: timestep_spacing is \"linspace\", but DDIM inversion has leading and "
        "trailing only");
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, arithmetic));
  ITO_ASSIGN(std::vector<int> timesteps, choose_timesteps(config, choice));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(config.prediction_type));
  ITO_ASSIGN(const VarianceType variance, variance_type_from_name(config.variance_type));
  ITO_ASSIGN(X0Limit limit, x0_limit(config));
  limit.threshold = false;
  std::reverse(timesteps.begin(), timesteps.end());

  Sampler sampler = empty_sampler("ddim_inverse");
  const double initial_alpha_bar = config.set_alpha_to_one ? 1.0 : schedule.alpha_bar(0);
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    int before = t - config.num_train_timesteps / choice.steps;
    if (!choice.timesteps.empty()) before = i > 0 ? timesteps[i - 1] : -1;
    const double alpha_bar = before >= 0 ? schedule.alpha_bar(before) : initial_alpha_bar;
    ITO_TRY(append_step(sampler, schedule, prediction, {}, t, alpha_bar, schedule.alpha_bar(t)));
  }
  const StepOptions step{
      .limit = limit, .epsilon_from_x0 = false, .learned_variance = is_learned(variance)};
  sampler.output_multiple = step.learned_variance ? 2 : 1;
  sampler.build = [step](const StepInputs& in) { return build_step(in, step); };
  return sampler;
}

}  // namespace ito
