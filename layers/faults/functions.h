// Function: the commands of Vulkan by number, and their names. Not for what is done with them.
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ito_faults {

enum class Function : uint16_t {
#define FUNCTION(name) name,
#include "vulkan_functions.inc"
#undef FUNCTION
  kCount
};

inline constexpr size_t kFunctions = static_cast<size_t>(Function::kCount);

const char* name_of(Function function);
std::optional<Function> function_named(std::string_view name);

// Whether it gives a VkResult.
bool can_fail(Function function);

// Whether Vulkan lets the function say that the device is lost, once it is.
bool tells_of_loss(Function function);

// Hands work to a queue.
bool is_submission(Function function);

}  // namespace ito_faults
