// What sampling programs share: their ports, and the programs that put x
// where a run begins. Not the steps (diffusion/method.h).
#pragma once

#include <cstdint>

#include "base/shape.h"
#include "graph/port.h"
#include "graph/program.h"

namespace ito {

namespace sampling_ports {
inline constexpr Port<float> kX{"x"};                       // state [n, ..., c]: the sample
inline constexpr Port<float> kPicture{"picture"};           // input as x: where a run begins
inline constexpr Port<uint32_t> kStep{"step"};              // state []: steps done; start at 0
inline constexpr Port<uint32_t> kDivergence{"divergence"};  // state [2]; start at zero
inline constexpr PortFamily<float> kHistory{"history."};    // states, by the name of each
inline constexpr Port<uint32_t> kKey{"key"};                // input [2]: one for a whole run
inline constexpr Port<uint32_t> kImage{"image"};            // input [n]: the seed per image
}  // namespace sampling_ports

// Sets the state "x" of `shape` to scale · N(0, I) from "key" and "image": the sample at the end of
// the noising process.
Program initial_noise_program(const Shape& shape, double scale);

// Image to image: sets the state "x" to mean x_0 + std N(0, I) of the input "picture", an image
// x_0, from "key" and "image": the level of a method's row.
Program forward_noise_program(const Shape& shape, double mean, double std);

}  // namespace ito
