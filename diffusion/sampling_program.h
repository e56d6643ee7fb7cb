// The device-resident sampling loop: a Sampler and a Denoiser become one Program, of which one
// replay is one step. The step counter, the coefficient table and the noise live on the device, so
// N replays need nothing of the host. Not the loop itself (the executor replays) and not the choice
// of method (diffusion/samplers.h).
//
// Noise is a function of (key, seed of the image, step, element): which images share a batch, and
// on which machine a batch runs, changes nothing.
//
// The program keeps the state "divergence" (diffusion/divergence_words.h); what it watches as the
// model's output is the denoiser's, before any clipping could hide it.
#pragma once

#include <string>

#include "base/shape.h"
#include "diffusion/constraint.h"
#include "diffusion/denoiser.h"
#include "diffusion/sampler.h"
#include "graph/program.h"

namespace ito {

// External tensors of the programs below.
namespace sampling_names {
inline constexpr const char* kX = "x";                    // state, f32 [n, ..., c]: the sample
inline constexpr const char* kStep = "step";              // state, u32 []: steps done; start at 0
inline constexpr const char* kDivergence = "divergence";  // state, u32 [2]; start at zero
inline constexpr const char* kHistory = "history.";       // states "history.NAME", f32 as x:
                                                          //   start at zero (multistep methods)
inline constexpr const char* kKey = "key";                // input, u32 [2]: one for a whole run
inline constexpr const char* kImage = "image";            // input, u32 [n]: the seed per image
inline constexpr const char* kNoise = "noise";            // input, f32 as x (noise_input)
inline constexpr const char* kModelOutput = "model_output";  // input (no denoiser),
                                                             //   f32 [n, ..., c output_multiple]
inline constexpr const char* kX0 = "x0";                     // output, f32 as x: estimate of x_0
}  // namespace sampling_names

struct SamplingOptions {
  Shape shape;        // of x: [n, h, w, c], or any rank of 2 and more with channels last
  Denoiser denoiser;  // empty: the network's output is the input "model_output" (replays of a
                      // recorded run)
  bool noise_input = false;  // true: the step's noise is the input "noise", not drawn on the device
  bool x0_output = false;    // also give the step's x_0 estimate, for previews
  Constraint constraint = {};  // if set, x is made to agree before each step and after the last
};

// One step of `sampler` from the states "x", "step" and "divergence" (and history). Replay it
// sampler.steps() times. Steps beyond the last repeat the last row. The externals that appear:
// "noise" only if noise_input and the sampler needs noise; "key" and "image" only if noise is
// drawn; those of the constraint (which draws noise even with noise_input).
Program sampling_program(const Sampler& sampler, const SamplingOptions& options);

// Sets the state "x" of `shape` to scale · N(0, I) from "key" and "image": x_T for
// scale = sampler.init_noise_sigma.
Program initial_noise_program(const Shape& shape, double scale);

// Image to image: replaces the state "x", an image x_0, by √ᾱ x_0 + √(1-ᾱ) N(0, I) from "key" and
// "image". Continue with sampler.from(first), ᾱ being that of its first timestep.
Program forward_noise_program(const Shape& shape, double alpha_bar);

}  // namespace ito
