// Follows a Method on the device with recorded noise, for the families that hold trajectories.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "diffusion/method.h"
#include "runtime/vk/device.h"
#include "tests/golden_runner/case.h"

namespace ito::golden {

// Recorded noise of one draw: [steps, n, d], row row_of(replay) for each replay.
struct RecordedNoise {
  Array noise;
  std::vector<int64_t> row_of_replay;
};

// Values after each replay, [replays, n, d] each: "x" and the chain's outputs by their own names.
using Trajectory = std::map<std::string, Array>;

// Runs all steps of the chain from x [n, d]; one RecordedNoise per draw. Errors: shapes that do not
// fit, and a divergence that the chain recorded.
Result<Trajectory> follow_chain(vk::Device& device, const Method& chain, const Array& x,
                                const std::vector<RecordedNoise>& noises);

}  // namespace ito::golden
