// The variational bound of a batch of images on the device: one replay adds one term, or a random
// one of a stratum of terms, and nothing comes back before the last. What a term is:
// diffusion/variational_bound.h. Not the loop (api/bound.h).
#pragma once

#include <vector>

#include "diffusion/variational_bound.h"
#include "graph/port.h"
#include "graph/program.h"

namespace ito {

// Which terms are evaluated: of each stratum of timesteps [first, first + width) one, drawn anew
// for every image and counted `width` times, so that the sum's expectation is the whole.
struct BoundStrata {
  std::vector<int> first, width;
  int count() const { return static_cast<int>(first.size()); }
};
// Timestep 0 alone, and the others in `terms` - 1 strata as equal as can be; all of them where
// terms >= timesteps. Error: fewer than 2 terms, unless there is but one timestep.
Result<BoundStrata> bound_strata(int timesteps, int terms);

// Beside kKey, kImage and kStep of sampling_ports.
namespace bound_ports {
inline constexpr Port<float> kX0{"x0"};  // input [n, ...]: images in [-1, 1]
// States [n, strata]: each image's part of the bound in a stratum, bits/dim (stratum 0 is
// L_0), and the mean squared error of its predicted x_0 there. By image, as what is sent up to a
// stratum is a sum whose parts scatter together.
inline constexpr Port<float> kTerms{"terms"};
inline constexpr Port<float> kErrors{"errors"};
inline constexpr Port<float> kPrior{"prior"};  // output [n]: L_T
}  // namespace bound_ports

// Replay it strata.count() times from "step" zero; each fills one column of the states. Noise and
// timesteps are functions of (key, image, stratum): which images share a batch changes nothing.
Program bound_program(const Shape& shape, const NoiseSchedule& schedule, const Denoiser& denoiser,
                      const BoundOptions& options, const BoundStrata& strata);

}  // namespace ito
