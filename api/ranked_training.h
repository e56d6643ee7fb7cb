// What a training run asks of the ranks that train it: how a batch is cut so that they have equal
// parts, and that all of them are alike. Not the sums (ranks/ranks.h, api/training.h).
#pragma once

#include <string>

#include "api/run_file.h"
#include "ranks/ranks.h"
#include "runtime/vk/device.h"

namespace ito {

// Gives the options of a run that ranks train the microbatch that they leave open. `stored`: of a
// run that goes on. Errors kInvalidArgument: a batch that so many ranks cannot share; a run that
// was begun without microbatches.
Status cut_for_ranks(const Ranks& ranks, const RunFile* stored, TrainingOptions& options);

// What all must have in common: the images they read, and a device that computes the same bits. On
// rank 0 gives a line for each device: "ranks 0-3: llvmpipe ... on host". Errors kInvalidArgument
// naming the first rank that differs.
Result<std::vector<std::string>> check_alike(const Ranks& ranks, const std::string& fingerprint,
                                             const vk::DeviceInfo& device);

// An error of a step among several ranks, with where the run goes on: `saved` is the step of the
// newest checkpoint, less than 1: none.
Error with_way_on(Error error, int64_t step, int64_t saved);

}  // namespace ito
