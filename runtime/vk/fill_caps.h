// From a device's limits, and from what is enabled on it, to what compile() may assume
// (DeviceCaps). Not a public entry.
#pragma once

#include <cstdint>

#include "runtime/vk/context.h"

namespace ito::vk {

// Fills `context`'s limits and caps; its handles, functions and features are set. `most`: bytes of
// the largest allocation, where less than the driver's; 0: the driver's.
void fill_caps(Context& context, uint64_t most);

}  // namespace ito::vk
