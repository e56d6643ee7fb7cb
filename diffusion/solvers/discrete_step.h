// Small pieces shared by the solvers over whole timesteps of a discrete chain (DDPM, DDIM, LCM,
// PNDM). Internal to this folder.
#pragma once

#include <vector>

#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"
#include "diffusion/solver_options.h"

namespace ito {

// a = √ᾱ and s = √(1-ᾱ), in the schedule's arithmetic.
struct NoiseLevel {
  double a = 1;
  double s = 0;
};
NoiseLevel noise_level(const NoiseSchedule& schedule, double alpha_bar);

// An error where x_0 or ε cannot be had from the prediction: ᾱ = 0 for epsilon, ᾱ = 1 for sample.
Status check_convertible(Prediction prediction, const NoiseLevel& level, int timestep);

// The timesteps that options and the config's spacing give, descending.
Result<std::vector<int>> choose_timesteps(const SchedulerConfig& config,
                                          const SolverOptions& options);

// Errors: a first step that is not one of `count`.
Status check_first_step(const SolverOptions& options, size_t count);

// What the network's second half is to a method that does not use it.
Result<LearnedVariance> ignored_variance(const SchedulerConfig& config);

}  // namespace ito
