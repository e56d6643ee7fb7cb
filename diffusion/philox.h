// The random numbers that sampling and losses draw on the device, on the host (base/philox.h has
// the generator): for tests and for what must repeat a device's draws.
#pragma once

#include <cstdint>
#include <span>

#include "base/philox.h"

namespace ito {

// The values that graph's random_normal gives one image: element e is word e % 4 of counter
// (e / 4, image, step, stream).
void philox_fill_normal(std::span<double> values, PhiloxKey key, uint32_t image, uint32_t step,
                        uint32_t stream);

}  // namespace ito
