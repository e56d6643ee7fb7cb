// `ito bench data`: how fast pictures become batches, and whether a device that trains waits for
// them. Not for kernels (bench_cases.h).
#pragma once

#include "base/result.h"
#include "io/json.h"
#include "runtime/vk/device.h"

namespace ito::apps {

// Rows, each with name, ms (of one picture) and images_per_second: decoding 20,000 PNGs of 64x64
// into a cache, opening that, making batches of it, and training a small U-Net on them, which has
// `idle` too: the share of time in which the loop waited for a batch, and the device, once it had
// caught up, for the loop. Writes a folder of its own, which it removes. Errors: kIo; of the
// device.
Result<Json> bench_data(vk::Device& device);

}  // namespace ito::apps
