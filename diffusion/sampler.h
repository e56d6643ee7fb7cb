// Sampler: one reverse-diffusion method over a fixed list of timesteps, as data and one function:
// a table of host numbers, one row per step, and a function that builds the step's mathematics from
// the row's entries. DDPM, DDIM and multistep methods differ in nothing else, so one program
// (diffusion/sampling_program.h) runs them all with the loop index on the device.
// Not for methods whose number of evaluations is decided while running (adaptive ODE solvers).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "graph/graph.h"

namespace ito {

// What one step is built from.
struct StepInputs {
  Tensor x;       // [n, ...], channels last
  Tensor output;  // the network's output at x and the step's timestep; see Sampler::output_multiple
  Tensor noise;   // x's shape, standard normal; empty if the sampler never uses noise
  std::vector<Tensor> coefficients;  // one f32 scalar (shape []) per column of this step's row
  std::vector<Tensor> history;       // x's shape; one per Sampler::history, zero before step 0
};

struct StepResult {
  Tensor x;                     // the sample after the step
  Tensor x0;                    // the step's estimate of x_0, for previews
  std::vector<Tensor> history;  // what StepInputs::history will be in the next step
};

struct Sampler {
  std::string name;
  std::vector<double> timesteps;  // [steps] what the network is given
  double init_noise_sigma = 1;    // x before the first step is this times a standard normal
  std::vector<std::string> columns;
  std::vector<float> coefficients;   // [steps, columns] row-major
  std::vector<bool> noise_used;      // [steps] whether the step's result depends on its noise
  std::vector<std::string> history;  // names of tensors carried from step to step, for multistep
                                     // methods
  int output_multiple = 1;           // channels of the network's output per channel of x; 2 for
                                     // learned variances
  std::function<StepResult(const StepInputs&)> build;

  int steps() const { return static_cast<int>(timesteps.size()); }
  bool needs_noise() const;
  // The same method from step `first` on, for starting at a partly noised image.
  Sampler from(int first) const;
};

// The timesteps of a sampler: `steps` of them, spaced as the scheduler config's timestep_spacing
// and steps_offset say, or exactly those of `timesteps` (descending) if it is not empty.
struct TimestepChoice {
  int steps = 50;
  std::vector<int> timesteps;
};

// How x_0 estimates are kept in range, as in a scheduler config. Thresholding wins over clipping.
struct X0Limit {
  bool clip = false;
  double range = 1;  // clip to [-range, range]
  bool threshold = false;
  double threshold_ratio = 0.995;
  double threshold_max = 1;
};
// Errors: clip_sample_range not positive, dynamic_thresholding_ratio outside [0, 1],
// sample_max_value below 1.
Result<X0Limit> x0_limit(const SchedulerConfig& config);
Tensor limit_x0(Tensor x0, const X0Limit& limit);

// First step of an image-to-image run that re-noises `strength` (0 to 1) of the way: the last
// ⌊steps · strength⌋ steps are run. Equals `steps` (nothing to run) for a strength near 0.
int first_step_for_strength(int steps, double strength);

}  // namespace ito
