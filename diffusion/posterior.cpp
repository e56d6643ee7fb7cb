#include "diffusion/posterior.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/check.h"
#include "base/registry.h"
#include "diffusion/choices.h"

namespace ito {
namespace {

struct VarianceRow {
  Name name;
  VarianceType type;
};
constexpr VarianceRow kVariances[] = {
    {{"fixed_small", "the posterior's variance", "Ho et al. 2020, eq. 7", ""},
     VarianceType::kFixedSmall},
    {{"fixed_small_log", "the same by its logarithm", "Ho et al. 2020, eq. 7", ""},
     VarianceType::kFixedSmallLog},
    {{"fixed_large", "the step's own beta", "Ho et al. 2020, section 3.2", ""},
     VarianceType::kFixedLarge},
    {{"fixed_large_log", "the same by its logarithm", "Ho et al. 2020, section 3.2", ""},
     VarianceType::kFixedLargeLog},
    {{"learned", "the network gives it", "Nichol & Dhariwal 2021", ""}, VarianceType::kLearned},
    {{"learned_range", "the network chooses between the two", "Nichol & Dhariwal 2021, eq. 15", ""},
     VarianceType::kLearnedRange},
};

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

std::vector<Name> variance_choices() { return names_of(kVariances); }

Posterior posterior(const NoiseSchedule& schedule, int t, int previous) {
  CHECK(t >= 0 && t < schedule.num_timesteps() && previous < t,
        "posterior: timesteps out of order");
  const double now = schedule.alpha_bar(t);
  const double before = schedule.alpha_bar(previous);
  if (schedule.arithmetic == Arithmetic::kDouble) return posterior_in<double>(now, before);
  return posterior_in<float>(static_cast<float>(now), static_cast<float>(before));
}

Result<VarianceType> variance_type_from_name(const std::string& name) {
  ITO_ASSIGN(const VarianceRow* row, row_called(std::span<const VarianceRow>(kVariances), name,
                                                "scheduler config: variance_type"));
  return row->type;
}

bool is_range(VarianceType type) { return type == VarianceType::kLearnedRange; }
bool is_large(VarianceType type) {
  return type == VarianceType::kFixedLarge || type == VarianceType::kFixedLargeLog;
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
