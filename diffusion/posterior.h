// The Gaussian posterior of the noising chain and the variances that reverse steps may use, as host
// numbers. `t` and `previous` are training timesteps, previous < t; previous = -1 is the noise-free
// end (ᾱ = 1). With previous = t - 1 these are the formulas of the papers; with larger strides the
// chain is respaced: α_t becomes ᾱ_t / ᾱ_previous (Nichol & Dhariwal 2021, section 4).
// Computed in the schedule's arithmetic.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "diffusion/schedule.h"

namespace ito {

// q(x_previous | x_t, x_0) = N(on_x x_t + on_x0 x_0, variance I) (Ho et al. 2020, eq. 6-7):
//   on_x     = √α_t (1-ᾱ_previous)/(1-ᾱ_t)
//   on_x0    = √ᾱ_previous β_t/(1-ᾱ_t)
//   variance = β̃_t = (1-ᾱ_previous)/(1-ᾱ_t) β_t
struct Posterior {
  double on_x = 0;
  double on_x0 = 0;
  double beta = 0;      // β_t of the (respaced) step, 1 - ᾱ_t/ᾱ_previous
  double variance = 0;  // β̃_t; 0 when previous = -1
};
Posterior posterior(const NoiseSchedule& schedule, int t, int previous);

// diffusers' variance_type. The _log forms are the same variances by way of their logarithm;
// learned: the network gives the variance itself; learned_range: it gives v in [-1, 1] that mixes
// log β̃_t (v = -1) and log β_t (v = 1) (Nichol & Dhariwal 2021, eq. 15).
enum class VarianceType : uint8_t {
  kFixedSmall,
  kFixedSmallLog,
  kFixedLarge,
  kFixedLargeLog,
  kLearned,
  kLearnedRange,
};
Result<VarianceType> variance_type_from_name(const std::string& name);
// True when the network outputs twice the channels.
bool is_learned(VarianceType type);
// Whether it says where between two fixed variances; and whether it is the larger of these.
bool is_range(VarianceType type);
bool is_large(VarianceType type);

// Least value a variance is given before a root or logarithm is taken.
inline constexpr double kMinVariance = 1e-20;

// Standard deviation of the reverse step for a fixed variance type.
// (diffusers 0.40 takes the root of a logarithm for fixed_large_log, which is not a number; here it
// is √β_t, as in the code it came from.)
double reverse_std(const NoiseSchedule& schedule, VarianceType type, int t, int previous);

// Ends of learned_range: log max(β̃_t, kMinVariance) and log β_t.
struct LogVarianceRange {
  double low = 0;
  double high = 0;
};
LogVarianceRange log_variance_range(const NoiseSchedule& schedule, int t, int previous);

// Variance of the DDIM step at η = 1 (Song et al. 2021, eq. 16):
// (1-ᾱ_previous)/(1-ᾱ_t) (1 - ᾱ_t/ᾱ_previous), with ᾱ given because DDIM may end at ᾱ_0.
double ddim_variance(Arithmetic arithmetic, double alpha_bar, double alpha_bar_previous);

}  // namespace ito
