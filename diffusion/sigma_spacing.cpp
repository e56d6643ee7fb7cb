#include "diffusion/sigma_spacing.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/integer.h"
#include "base/registry.h"
#include "diffusion/beta_quantile.h"
#include "diffusion/choices.h"
#include "diffusion/flow_levels.h"
#include "diffusion/timesteps.h"

namespace ito {
namespace {

// numpy's round: halves to even.
double nearest(double value) { return std::nearbyint(value); }

double stored(Arithmetic arithmetic, double value) {
  return arithmetic == Arithmetic::kDouble ? value : static_cast<float>(value);
}

template <typename Real>
SigmaTable table_in(const std::vector<double>& alphas_cumprod) {
  SigmaTable table;
  for (double alpha_bar : alphas_cumprod) {
    const Real a = static_cast<Real>(alpha_bar);
    const Real sigma = std::sqrt((Real{1} - a) / a);
    table.sigma.push_back(sigma);
    // In float32 the rounded logarithm of the rounded σ.
    table.log_sigma.push_back(static_cast<Real>(std::log(static_cast<double>(sigma))));
  }
  return table;
}

// A key of the configuration with two values, by name.
struct TwoWays {
  Name name;
  bool second;
};
constexpr TwoWays kFinals[] = {{{"zero", "without noise", "", ""}, false},
                               {{"sigma_min", "at the least level", "", ""}, true}};
constexpr TwoWays kInterpolations[] = {
    {{"linear", "levels of evenly spaced timesteps", "", ""}, false},
    {{"log_linear", "levels evenly spaced in log sigma", "", ""}, true}};

// How levels are made of the configuration.
enum class Conversion : uint8_t { kNone, kKarras, kExponential, kBeta, kLu, kFlow };

Result<Conversion> conversion(const SchedulerConfig& config, const SigmaRules& rules) {
  const int formulas = int{config.use_karras_sigmas} + int{config.use_exponential_sigmas} +
                       int{config.use_beta_sigmas};
  if (formulas > 1)
    return invalid_argument(
        "scheduler config: more than one of use_karras_sigmas, use_exponential_sigmas and "
        "use_beta_sigmas is true, expected at most one");
  const bool flow = config.use_flow_sigmas && rules.flow != SigmaRules::Flow::kNone;
  const bool karras_of_flow = rules.flow == SigmaRules::Flow::kFromOne && config.use_karras_sigmas;
  if (flow && (formulas > 0 || config.use_lu_lambdas) && !karras_of_flow)
    return invalid_argument(
        "scheduler config: use_flow_sigmas is true beside levels of the chain of betas (Karras, "
        "exponential, beta or Lu), which mean nothing on the straight path; expected one of them");
  if (config.use_karras_sigmas) return Conversion::kKarras;
  if (config.use_lu_lambdas) return Conversion::kLu;
  if (config.use_exponential_sigmas) return Conversion::kExponential;
  if (config.use_beta_sigmas) return Conversion::kBeta;
  return flow ? Conversion::kFlow : Conversion::kNone;
}

Result<bool> ends_at_zero(const SchedulerConfig& config, const SigmaRules& rules) {
  if (rules.final_sigma == SigmaRules::Final::kZero) return true;
  if (rules.final_sigma == SigmaRules::Final::kLeast) return false;
  return final_sigma_is_zero(config);
}

// How many of the chain's timesteps, counted from 0, have log(√ᾱ/√(1-ᾱ)) >= lambda_min_clipped.
int unclipped_timesteps(const SchedulerConfig& config, const NoiseSchedule& schedule) {
  const auto lambda = [&](double alpha_bar) {
    if (schedule.arithmetic == Arithmetic::kDouble)
      return 0.5 * std::log(alpha_bar) - 0.5 * std::log(1 - alpha_bar);
    const float a = static_cast<float>(alpha_bar);
    return double{std::log(std::sqrt(a)) - std::log(std::sqrt(1.0f - a))};
  };
  int count = schedule.num_timesteps();
  while (count > 0 && lambda(schedule.alpha_bar(count - 1)) < config.lambda_min_clipped) --count;
  return count;
}

// The timesteps of the spacing, from noise to data.
Result<std::vector<double>> spaced(const SchedulerConfig& config, const NoiseSchedule& schedule,
                                   const SolverOptions& options, const SigmaRules& rules) {
  const int T = config.num_train_timesteps;
  if (!options.timesteps.empty()) {
    ITO_TRY(check_timesteps(options.timesteps, T));
    return std::vector<double>(options.timesteps.begin(), options.timesteps.end());
  }
  const int steps = options.steps;
  if (steps < 1 || steps > T)
    return invalid_argument(
        "number of sampling steps is {}, expected 1 to {} (num_train_timesteps)", steps, T);
  const int last = rules.clip_lambda ? unclipped_timesteps(config, schedule) : T;
  if (last < 1)
    return invalid_argument(
        "scheduler config: lambda_min_clipped is {}, above that of every timestep; expected less",
        config.lambda_min_clipped);
  const bool whole = rules.grid == SigmaRules::Grid::kWhole;
  const int points = whole ? steps + 1 : steps;
  ITO_ASSIGN(const Spacing spacing, spacing_from_name(config.timestep_spacing));
  std::vector<double> timesteps;
  switch (spacing) {
    case Spacing::kLinspace:
      timesteps = even_spacing(0, last - 1, points);
      std::reverse(timesteps.begin(), timesteps.end());
      for (double& t : timesteps) t = whole ? nearest(t) : stored(options.arithmetic, t);
      break;
    case Spacing::kLeading:
      for (int i = points - 1; i >= 0; --i)
        timesteps.push_back(i * (last / points) + config.steps_offset);
      break;
    case Spacing::kTrailing: {
      const double ratio = static_cast<double>(T) / steps;
      const int count = static_cast<int>(ceil_div(int64_t{last} * steps, T));
      for (int i = 0; i < count; ++i) timesteps.push_back(nearest(last - i * ratio) - 1);
      return timesteps;
    }
  }
  if (whole) timesteps.pop_back();
  return timesteps;
}

struct Range {
  double least = 0, largest = 0;
};

std::vector<double> converted(Conversion conversion, const Range& range, const SigmaTable& table,
                              int n) {
  switch (conversion) {
    case Conversion::kKarras:
      return karras_sigmas(range.least, range.largest, n);
    case Conversion::kExponential:
      return exponential_sigmas(range.least, range.largest, n);
    case Conversion::kBeta:
      return beta_sigmas(range.least, range.largest, n);
    default: {  // Lu: evenly spaced λ = -log σ (Lu et al. 2022), of the table's rounded logarithms
      std::vector<double> sigmas = even_spacing(table.log_sigma.back(), table.log_sigma.front(), n);
      for (double& sigma : sigmas) sigma = std::exp(sigma);
      return sigmas;
    }
  }
}

// Levels of the straight path.
Result<std::vector<double>> flow_levels(const SchedulerConfig& config, const SolverOptions& options,
                                        const SigmaRules& rules) {
  const bool from_one = rules.flow == SigmaRules::Flow::kFromOne;
  ITO_ASSIGN(const double shift, level_shift(config, options.mu, config.flow_shift));
  if (from_one && config.use_dynamic_shifting && !options.mu)
    return invalid_argument(
        "the scheduler config's use_dynamic_shifting shifts noise levels by the size of the "
        "picture; expected a value mu");
  std::vector<double> levels = even_spacing(1, 1.0 / config.num_train_timesteps, options.steps + 1);
  if (!from_one) {
    for (double& level : levels) level = 1 - level;
    std::reverse(levels.begin(), levels.end());
  }
  levels.pop_back();
  for (double& level : levels) level = shifted_level(shift, level);
  if (!from_one) return levels;
  stretch_to_terminal(levels, config.shift_terminal.value_or(0));
  // Where there is no signal its logarithm would be infinite.
  if (std::fabs(levels.front() - 1) < 1e-6) levels.front() -= 1e-6;
  return levels;
}

std::vector<double> log_linear_levels(const SigmaTable& table, int steps, Arithmetic arithmetic) {
  std::vector<double> levels =
      even_spacing(table.log_sigma.back(), table.log_sigma.front(), steps + 1);
  for (double& level : levels) level = stored(arithmetic, std::exp(level));
  return levels;
}

}  // namespace

std::vector<Name> final_sigma_choices() { return names_of(kFinals); }

std::vector<Name> interpolation_type_choices() { return names_of(kInterpolations); }

Result<bool> final_sigma_is_zero(const SchedulerConfig& config) {
  ITO_ASSIGN(const TwoWays* way,
             row_called(std::span<const TwoWays>(kFinals), config.final_sigmas_type,
                        "scheduler config: final_sigmas_type"));
  return !way->second;
}

Result<NoiseSchedule> make_sigma_schedule(const SchedulerConfig& config, Arithmetic arithmetic) {
  ITO_ASSIGN(NoiseSchedule schedule, make_schedule(config, arithmetic));
  if (config.rescale_betas_zero_snr) schedule.alphas_cumprod.back() = std::ldexp(1.0, -24);
  return schedule;
}

double SigmaTable::at(double t) const {
  if (t <= 0) return sigma.front();
  const auto last = static_cast<double>(sigma.size() - 1);
  if (t >= last) return sigma.back();
  const auto below = static_cast<size_t>(t);
  return (sigma[below + 1] - sigma[below]) * (t - static_cast<double>(below)) + sigma[below];
}

double SigmaTable::timestep_of(double value) const {
  if (sigma.size() < 2) return 0;
  const double log_value = std::log(std::max(value, 1e-10));
  const auto above = std::upper_bound(log_sigma.begin(), log_sigma.end(), log_value);
  const ptrdiff_t low = std::clamp<ptrdiff_t>(above - log_sigma.begin() - 1, 0,
                                              static_cast<ptrdiff_t>(log_sigma.size()) - 2);
  const double from = log_sigma[static_cast<size_t>(low)];
  const double to = log_sigma[static_cast<size_t>(low) + 1];
  const double w = std::clamp((from - log_value) / (from - to), 0.0, 1.0);
  return (1 - w) * static_cast<double>(low) + w * static_cast<double>(low + 1);
}

SigmaTable sigma_table(const NoiseSchedule& schedule) {
  return schedule.arithmetic == Arithmetic::kDouble ? table_in<double>(schedule.alphas_cumprod)
                                                    : table_in<float>(schedule.alphas_cumprod);
}

Result<SigmaSteps> sigma_steps(const SchedulerConfig& config, const NoiseSchedule& schedule,
                               const SolverOptions& options, const SigmaRules& rules) {
  ITO_ASSIGN(const Conversion kind, conversion(config, rules));
  if (kind != Conversion::kNone && !options.timesteps.empty())
    return invalid_argument(
        "a list of timesteps is given, but the scheduler config's use_ switches choose noise "
        "levels "
        "of their own; expected one of them");
  ITO_ASSIGN(const bool to_zero, ends_at_zero(config, rules));
  const SigmaTable table = sigma_table(schedule);
  const bool whole = rules.grid == SigmaRules::Grid::kWhole;

  SigmaSteps steps;
  ITO_ASSIGN(steps.timesteps, spaced(config, schedule, options, rules));
  for (double t : steps.timesteps) steps.sigmas.push_back(table.at(t));
  const int n = options.timesteps.empty() ? options.steps : steps.steps();
  if (rules.log_linear) {
    ITO_ASSIGN(const TwoWays* way,
               row_called(std::span<const TwoWays>(kInterpolations), config.interpolation_type,
                          "scheduler config: interpolation_type"));
    if (way->second) steps.sigmas = log_linear_levels(table, n, options.arithmetic);
  }
  if (kind == Conversion::kFlow) {
    ITO_ASSIGN(steps.sigmas, flow_levels(config, options, rules));
    steps.flow = true;
    steps.timesteps.clear();
    for (double sigma : steps.sigmas) steps.timesteps.push_back(sigma * config.num_train_timesteps);
  } else if (kind != Conversion::kNone) {
    // Grids of whole timesteps convert the whole chain's range, others what they visit.
    Range range{.least = steps.sigmas.back(), .largest = steps.sigmas.front()};
    if (whole) range = {.least = table.sigma.front(), .largest = table.sigma.back()};
    if (rules.configured_range) {
      range.least = config.least_sigma.value_or(range.least);
      range.largest = config.largest_sigma.value_or(range.largest);
    }
    steps.sigmas = converted(kind, range, table, n);
    const bool rounded =
        rules.round_karras && (kind == Conversion::kKarras || kind == Conversion::kLu);
    steps.timesteps.clear();
    for (double& sigma : steps.sigmas) {
      if (config.use_flow_sigmas && rules.flow == SigmaRules::Flow::kFromOne) {
        steps.flow = true;
        sigma = sigma / (sigma + 1);
        steps.timesteps.push_back(sigma * config.num_train_timesteps);
        continue;
      }
      const double t = table.timestep_of(sigma);
      steps.timesteps.push_back(rounded ? nearest(t) : t);
    }
  }
  for (double& t : steps.timesteps) t = whole ? std::trunc(t) : stored(options.arithmetic, t);
  double least = table.sigma.front();
  if (rules.repeat_least && kind != Conversion::kNone) least = steps.sigmas.back();
  steps.sigmas.push_back(to_zero ? 0 : least);
  for (double& sigma : steps.sigmas) sigma = stored(options.arithmetic, sigma);
  return steps;
}

std::vector<double> karras_sigmas(double sigma_min, double sigma_max, int n, double rho) {
  const double first = std::pow(sigma_max, 1 / rho), last = std::pow(sigma_min, 1 / rho);
  std::vector<double> sigmas = even_spacing(0, 1, n);
  for (double& sigma : sigmas) sigma = std::pow(first + sigma * (last - first), rho);
  return sigmas;
}

std::vector<double> exponential_sigmas(double sigma_min, double sigma_max, int n) {
  std::vector<double> sigmas = even_spacing(std::log(sigma_max), std::log(sigma_min), n);
  for (double& sigma : sigmas) sigma = std::exp(sigma);
  return sigmas;
}

std::vector<double> beta_sigmas(double sigma_min, double sigma_max, int n) {
  constexpr double kShape = 0.6;
  std::vector<double> sigmas = even_spacing(0, 1, n);
  for (double& sigma : sigmas)
    sigma = sigma_min + beta_quantile(1 - sigma, kShape, kShape) * (sigma_max - sigma_min);
  return sigmas;
}

std::vector<double> even_spacing(double first, double last, int count) {
  std::vector<double> values;
  const double step = count > 1 ? (last - first) / (count - 1) : 0;
  for (int i = 0; i < count; ++i) values.push_back(i * step + first);
  if (count > 1) values.back() = last;
  return values;
}

SignalAndNoise variance_preserving(double sigma) {
  const double alpha = 1 / std::sqrt(sigma * sigma + 1);
  return {.alpha = alpha, .sigma = sigma * alpha};
}

SignalAndNoise straight_path(double sigma) { return {.alpha = 1 - sigma, .sigma = sigma}; }

}  // namespace ito
