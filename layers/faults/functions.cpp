#include "functions.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <unordered_map>

namespace ito_faults {
namespace {

constexpr const char* kNames[] = {
#define FUNCTION(name) #name,
#include "vulkan_functions.inc"
#undef FUNCTION
};

template <typename Result, typename... Args>
constexpr bool gives_result(Result(VKAPI_PTR*)(Args...)) {
  return std::is_same_v<Result, VkResult>;
}

constexpr bool kCanFail[] = {
#define FUNCTION(name) gives_result(PFN_##name(nullptr)),
#include "vulkan_functions.inc"
#undef FUNCTION
};

constexpr Function kSubmissions[] = {Function::vkQueueSubmit, Function::vkQueueSubmit2,
                                     Function::vkQueueSubmit2KHR, Function::vkQueueBindSparse};

// The specification's VK_ERROR_DEVICE_LOST among the return codes, without vkCreateDevice, which
// has no device to lose, and rarer extensions.
constexpr Function kTellOfLoss[] = {Function::vkQueueSubmit,
                                    Function::vkQueueSubmit2,
                                    Function::vkQueueSubmit2KHR,
                                    Function::vkQueueBindSparse,
                                    Function::vkQueueWaitIdle,
                                    Function::vkDeviceWaitIdle,
                                    Function::vkWaitForFences,
                                    Function::vkGetFenceStatus,
                                    Function::vkGetEventStatus,
                                    Function::vkGetQueryPoolResults,
                                    Function::vkWaitSemaphores,
                                    Function::vkWaitSemaphoresKHR,
                                    Function::vkGetSemaphoreCounterValue,
                                    Function::vkGetSemaphoreCounterValueKHR,
                                    Function::vkAcquireNextImageKHR,
                                    Function::vkAcquireNextImage2KHR,
                                    Function::vkQueuePresentKHR,
                                    Function::vkGetSwapchainStatusKHR,
                                    Function::vkWaitForPresentKHR};

bool holds(const auto& list, Function function) {
  return std::find(std::begin(list), std::end(list), function) != std::end(list);
}

}  // namespace

const char* name_of(Function function) { return kNames[static_cast<size_t>(function)]; }

std::optional<Function> function_named(std::string_view name) {
  static const auto* numbers = [] {
    auto* all = new std::unordered_map<std::string_view, Function>;
    for (size_t i = 0; i < kFunctions; ++i) all->emplace(kNames[i], static_cast<Function>(i));
    return all;
  }();
  const auto found = numbers->find(name);
  if (found == numbers->end()) return std::nullopt;
  return found->second;
}

bool can_fail(Function function) { return kCanFail[static_cast<size_t>(function)]; }

bool tells_of_loss(Function function) { return holds(kTellOfLoss, function); }

bool is_submission(Function function) { return holds(kSubmissions, function); }

}  // namespace ito_faults
