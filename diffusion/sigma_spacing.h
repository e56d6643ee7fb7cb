// The noise levels that a solver in σ = √(1-ᾱ)/√ᾱ visits, and what the network is told there: from
// the chain's own levels, spaced by timestep (Lin et al. 2023, table 2), or converted to levels
// spaced by a formula of their own. What published schedulers do differently here are the fields
// of SigmaRules.
// Not for solvers on whole timesteps of the chain (diffusion/timesteps.h).
#pragma once

#include <cstdint>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/schedule.h"
#include "diffusion/solver_options.h"

namespace ito {

// make_schedule, but zero terminal SNR leaves ᾱ_{T-1} = 2^-24, so that the last σ is finite.
Result<NoiseSchedule> make_sigma_schedule(const SchedulerConfig& config, Arithmetic arithmetic);

// The chain's own levels, rising with t, [T] each.
struct SigmaTable {
  std::vector<double> sigma;  // √((1-ᾱ_t)/ᾱ_t)
  std::vector<double> log_sigma;

  // σ at a timestep between or beyond the whole ones: linear, constant outside.
  double at(double t) const;
  // The timestep at which the chain has σ: linear in log σ, within [0, T-1].
  double timestep_of(double sigma) const;
};
SigmaTable sigma_table(const NoiseSchedule& schedule);

// Whether final_sigmas_type ends a run without noise; else at the least σ. Errors: an unknown name.
Result<bool> final_sigma_is_zero(const SchedulerConfig& config);

// How a family of schedulers reads its configuration.
struct SigmaRules {
  enum class Grid : uint8_t {
    kReal,   // `steps` timesteps from noise to 0, between whole ones where the spacing falls there
    kWhole,  // `steps` + 1 whole timesteps, of which the last is not visited (trailing: `steps`);
             // timesteps of converted σ are truncated to whole ones
  };
  enum class Final : uint8_t {
    kZero,        // always 0
    kConfigured,  // final_sigmas_type: 0, or the least σ
    kLeast,       // always the least σ
  };
  enum class Flow : uint8_t {
    kNone,      // use_flow_sigmas is not of this family
    kBelowOne,  // levels of the straight path from 1 - 1/T down; μ of the options is log flow_shift
    kFromOne,   // from 1 down, with dynamic shifting and shift_terminal; Karras levels map to it
  };
  Grid grid = Grid::kReal;
  Final final_sigma = Final::kZero;
  Flow flow = Flow::kNone;
  // The least σ that ends a run: that of timestep 0, or, of converted levels, the last one again.
  bool repeat_least = false;
  // Karras and Lu levels are told as the nearest whole timestep.
  bool round_karras = false;
  // Timesteps begin where log(√ᾱ/√(1-ᾱ)) >= lambda_min_clipped.
  bool clip_lambda = false;
  // Converted levels lie between config.least_sigma and largest_sigma where those are set.
  bool configured_range = false;
  // interpolation_type "log_linear" is known.
  bool log_linear = false;
};

struct SigmaSteps {
  std::vector<double> timesteps;  // [steps] what the network is told; float32 values of kReal grids
  // [steps + 1], falling; step i goes from σ_i to σ_{i+1}. Log-linear levels, which hold
  // steps + 1 themselves, are followed by a last one that is not visited.
  std::vector<double> sigmas;
  bool flow = false;  // σ is of the straight path x = (1-σ) x_0 + σ ε

  int steps() const { return static_cast<int>(timesteps.size()); }
};

// Reads timestep_spacing, steps_offset, the use_ switches, final_sigmas_type and what the rules
// name; options.steps or options.timesteps (which take away the use_ switches), options.mu. The
// numbers are those of diffusers, rounded to float32 where its are, in Arithmetic::kDouble not
// rounded. Spacing trailing always gives `steps` timesteps, also where rounding lets numpy's arange
// add one at timestep -1.
// Errors: fewer than 1 or more than T steps; more than one use_ switch; unknown names.
Result<SigmaSteps> sigma_steps(const SchedulerConfig& config, const NoiseSchedule& schedule,
                               const SolverOptions& options, const SigmaRules& rules);

// n levels between the ends, both included, the largest first. n >= 1.
// (σ_max^{1/ρ} + u (σ_min^{1/ρ} - σ_max^{1/ρ}))^ρ, u from 0 to 1 (Karras et al. 2022, eq. 5).
std::vector<double> karras_sigmas(double sigma_min, double sigma_max, int n, double rho = 7);
// Evenly spaced in log σ.
std::vector<double> exponential_sigmas(double sigma_min, double sigma_max, int n);
// σ_min + (σ_max - σ_min) q(1 - u), q the quantiles of Beta(0.6, 0.6) (Lee et al. 2024).
std::vector<double> beta_sigmas(double sigma_min, double sigma_max, int n);
// `count` numbers from first to last, numpy's linspace.
std::vector<double> even_spacing(double first, double last, int count);

// The factors of x = alpha x_0 + sigma ε at level σ.
struct SignalAndNoise {
  double alpha = 1;
  double sigma = 0;
};
SignalAndNoise variance_preserving(double sigma);  // α = 1/√(1 + σ²), σ α
SignalAndNoise straight_path(double sigma);        // 1 - σ, σ

}  // namespace ito
