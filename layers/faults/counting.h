// Counting: how often each function was called in this process, and which of its calls fail. All of
// it may be used from any thread.
#pragma once

#include <string>

#include "settings.h"

namespace ito_faults {

// How a device is: lost, once a call said so.
enum class Health { kWell, kLost };

// Counts a call of `function` on something whose health is `health`, and says how it is to be
// answered: VK_SUCCESS, by the driver; anything else, by that.
VkResult count_call(Function function, Health health);

uint64_t calls_of(Function function);
uint64_t failures_of(Function function);

// A line "NAME CALLS FAILED" for each function that was called, in the order of vulkan_core.h;
// FAILED is - for one that gives no result.
std::string counts_text();

// Writes counts_text() to the file of the settings, where they name one.
void write_counts();

}  // namespace ito_faults
