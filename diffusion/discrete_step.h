// Small pieces shared by the samplers over discrete timesteps (DDPM, DDIM). Internal to this room.
#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "diffusion/parameterization.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

namespace ito {

// a = √ᾱ and s = √(1-ᾱ), in the schedule's arithmetic.
struct NoiseLevel {
  double a = 1;
  double s = 0;
};
NoiseLevel noise_level(const NoiseSchedule& schedule, double alpha_bar);

// An error where x_0 or ε cannot be had from the prediction: ᾱ = 0 for epsilon, ᾱ = 1 for sample.
Status check_convertible(Prediction prediction, const NoiseLevel& level, int timestep);

// The timesteps that `choice` and the config's spacing give, descending.
Result<std::vector<int>> choose_timesteps(const SchedulerConfig& config,
                                          const TimestepChoice& choice);

// Appends numbers to the coefficient table.
void append_row(Sampler& sampler, std::initializer_list<double> values);

// The prediction and, if `learned`, the variance channels of a network output [..., 2c]; the second
// is empty otherwise.
std::pair<Tensor, Tensor> split_output(Tensor output, bool learned);

}  // namespace ito
