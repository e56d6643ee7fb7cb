// What sampling programs share: the names of their external tensors, and the programs that put x
// where a run begins. Not the steps (diffusion/method.h).
#pragma once

#include "base/shape.h"
#include "graph/program.h"

namespace ito {

namespace sampling_names {
inline constexpr const char* kX = "x";                    // state, f32 [n, ..., c]: the sample
inline constexpr const char* kStep = "step";              // state, u32 []: steps done; start at 0
inline constexpr const char* kDivergence = "divergence";  // state, u32 [2]; start at zero
inline constexpr const char* kHistory = "history.";       // states "history.NAME", f32
inline constexpr const char* kKey = "key";                // input, u32 [2]: one for a whole run
inline constexpr const char* kImage = "image";            // input, u32 [n]: the seed per image
}  // namespace sampling_names

// Sets the state "x" of `shape` to scale · N(0, I) from "key" and "image": the sample at the end of
// the noising process.
Program initial_noise_program(const Shape& shape, double scale);

// Image to image: replaces the state "x", an image x_0, by mean x_0 + std N(0, I) from "key" and
// "image", the level of a method's row.
Program forward_noise_program(const Shape& shape, double mean, double std);

}  // namespace ito
