#include "diffusion/noise_ladder.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double overlap_at(double ratio, int64_t dimensions) {
  const double shift = std::sqrt(2.0 * static_cast<double>(dimensions)) * (ratio - 1);
  return normal_cdf(shift + 3 * ratio) - normal_cdf(shift - 3 * ratio);
}

}  // namespace

Result<std::vector<double>> geometric_ladder(double sigma_first, double sigma_last, int levels) {
  if (levels < 2) return invalid_argument("a ladder of {} levels, expected at least 2", levels);
  if (!(sigma_last > 0) || !(sigma_last < sigma_first) || !std::isfinite(sigma_first))
    return invalid_argument("a ladder from {} to {}, expected finite numbers descending above 0",
                            sigma_first, sigma_last);
  std::vector<double> sigmas;
  for (int i = 0; i < levels; ++i)
    sigmas.push_back(sigma_first *
                     std::pow(sigma_last / sigma_first, static_cast<double>(i) / (levels - 1)));
  return sigmas;
}

Status check_ladder(std::span<const double> sigmas) {
  if (sigmas.empty()) return invalid_argument("a noise ladder without levels");
  for (size_t i = 0; i < sigmas.size(); ++i) {
    if (!(sigmas[i] > 0) || !std::isfinite(sigmas[i]))
      return invalid_argument("level {} of the noise ladder is {}, expected a positive number",
                              i + 1, sigmas[i]);
    if (i > 0 && !(sigmas[i] < sigmas[i - 1]))
      return invalid_argument("level {} of the noise ladder is {}, expected less than {} before it",
                              i + 1, sigmas[i], sigmas[i - 1]);
  }
  return {};
}

double ladder_ratio(int64_t dimensions, double overlap) {
  CHECK(dimensions >= 1 && overlap > 0 && overlap < 0.99, "ladder_ratio: out of range");
  // The overlap falls from 0.997 at ratio 1 as the ratio rises: to 0 for D > 4.5; below that, where
  // 3γ outgrows the shift, it may never reach `overlap`, and any ratio does.
  constexpr double kLargestRatio = 1e3;
  double low = 1, high = kLargestRatio;
  if (overlap_at(high, dimensions) > overlap) return high;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (overlap_at(middle, dimensions) > overlap ? low : high) = middle;
  }
  return low;
}

int ladder_levels(double sigma_first, double sigma_last, int64_t dimensions, double overlap) {
  CHECK(sigma_last > 0 && sigma_last < sigma_first, "ladder_levels: not descending");
  const double ratios =
      std::log(sigma_first / sigma_last) / std::log(ladder_ratio(dimensions, overlap));
  return 1 + static_cast<int>(std::max(std::ceil(ratios - 1e-9), 1.0));
}

double ladder_variance(double epsilon_over_last, double ratio, int steps_per_level) {
  // 2ε/(σ_L² - σ_L² (1 - ε/σ_L²)²), the variance the steps would end at.
  const double stationary = 1 / (1 - epsilon_over_last / 2);
  return std::pow(1 - epsilon_over_last, 2 * steps_per_level) * (ratio * ratio - stationary) +
         stationary;
}

double ladder_step_size(std::span<const double> sigmas, int steps_per_level) {
  CHECK(sigmas.size() >= 2 && steps_per_level >= 1, "ladder_step_size: no ladder or no steps");
  const double ratio = sigmas[0] / sigmas[1], last = sigmas.back();
  // The variance exceeds 1 throughout (it ends above 1 and starts above it), falls and then rises,
  // so its least value is the nearest to 1: golden-section search.
  const double share = (std::sqrt(5.0) - 1) / 2;
  double low = 0, high = 1;
  while (high - low > 1e-12) {
    const double a = high - share * (high - low), b = low + share * (high - low);
    if (ladder_variance(a, ratio, steps_per_level) < ladder_variance(b, ratio, steps_per_level))
      high = b;
    else
      low = a;
  }
  return (low + high) / 2 * last * last;
}

}  // namespace ito
