// How noisy an image is at a time, for whatever counts times: x_t = mean x_0 + std ε given x_0.
// What classifiers, guidance and constraints need to know of a noising process, so that one of each
// serves the discrete chain and every SDE. Not the reverse processes.
#pragma once

#include <functional>

#include "diffusion/schedule.h"
#include "diffusion/sde.h"
#include "graph/graph.h"

namespace ito {

// f32, of the times' shape.
struct Marginal {
  Tensor mean;
  Tensor std;
};
using MarginalFunction = std::function<Marginal(Tensor t)>;

// √ᾱ_t and √(1-ᾱ_t); t (f32, u32 or i32) is rounded down to a timestep of the schedule.
MarginalFunction schedule_marginal(const NoiseSchedule& schedule);
// m(t) and std(t) of the SDE, t f32.
MarginalFunction sde_marginal(const Sde& sde);

}  // namespace ito
