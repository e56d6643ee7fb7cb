#include "diffusion/posterior.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

template <typename Real>
Posterior posterior_in(Real alpha_bar, Real alpha_bar_previous) {
  const Real one{1};
  const Real alpha = alpha_bar / alpha_bar_previous;
  const Real beta = one - alpha;
  const Real rest = one - alpha_bar;
  const Real rest_previous = one - alpha_bar_previous;
  const Real on_x = std::sqrt(alpha) * rest_previous / rest;
  const Real on_x0 = std::sqrt(alpha_bar_previous) * beta / rest;
  const Real variance = rest_previous / rest * beta;
  return {.on_x = on_x, .on_x0 = on_x0, .beta = beta, .variance = variance};
}

template <typename Real>
double reverse_std_in(VarianceType type, Real beta, Real variance) {
  const Real floored = std::max(variance, static_cast<Real>(kMinVariance));
  const Real half = static_cast<Real>(0.5);
  switch (type) {
    case VarianceType::kFixedSmall:
      return std::sqrt(floored);
    case VarianceType::kFixedSmallLog:
      return std::exp(half * std::log(floored));
    case VarianceType::kFixedLarge:
      return std::sqrt(beta);
    case VarianceType::kFixedLargeLog:
      return std::exp(half * std::log(beta));
    case VarianceType::kLearned:
    case VarianceType::kLearnedRange:
      break;
  }
  CHECK(false, "a learned variance has no fixed standard deviation");
}

template <typename Real>
LogVarianceRange log_variance_range_in(Real beta, Real variance) {
  return {.low = std::log(std::max(variance, static_cast<Real>(kMinVariance))),
          .high = std::log(beta)};
}

}  // namespace

Posterior posterior(const NoiseSchedule& schedule, int t, int previous) {
  CHECK(t >= 0 && t < schedule.num_timesteps() && previous < t,
        "posterior: timesteps out of order");
  const double now = schedule.alpha_bar(t);
  const double before = schedule.alpha_bar(previous);
  if (schedule.arithmetic == Arithmetic::kDouble) return posterior_in<double>(now, before);
  return posterior_in<float>(static_cast<float>(now), static_cast<float>(before));
}

Result<VarianceType> variance_type_from_name(const std::string& name) {
  if (name == "fixed_small") return VarianceType::kFixedSmall;
  if (name == "fixed_small_log") return VarianceType::kFixedSmallLog;
  if (name == "fixed_large") return VarianceType::kFixedLarge;
  if (name == "fixed_large_log") return VarianceType::kFixedLargeLog;
  if (name == "learned") return VarianceType::kLearned;
  if (name == "learned_range") return VarianceType::kLearnedRange;
  return invalid_argument(
      "scheduler config: variance_type is \"{}\", expected fixed_small, fixed_small_log, "
      "fixed_large, fixed_large_log, learned or learned_range",
      name);
}

bool is_learned(VarianceType type) {
  return type == VarianceType::kLearned || type == VarianceType::kLearnedRange;
}

double reverse_std(const NoiseSchedule& schedule, VarianceType type, int t, int previous) {
  const Posterior p = posterior(schedule, t, previous);
  if (schedule.arithmetic == Arithmetic::kDouble)
    return reverse_std_in<double>(type, p.beta, p.variance);
  return reverse_std_in<float>(type, static_cast<float>(p.beta), static_cast<float>(p.variance));
}

LogVarianceRange log_variance_range(const NoiseSchedule& schedule, int t, int previous) {
  const Posterior p = posterior(schedule, t, previous);
  if (schedule.arithmetic == Arithmetic::kDouble)
    return log_variance_range_in<double>(p.beta, p.variance);
  return log_variance_range_in<float>(static_cast<float>(p.beta), static_cast<float>(p.variance));
}

double ddim_variance(Arithmetic arithmetic, double alpha_bar, double alpha_bar_previous) {
  if (arithmetic == Arithmetic::kDouble)
    return posterior_in<double>(alpha_bar, alpha_bar_previous).variance;
  return posterior_in<float>(static_cast<float>(alpha_bar), static_cast<float>(alpha_bar_previous))
      .variance;
}

}  // namespace ito
