// Wrapped<Function, PFN>::call: what a program calls in a function's place: it is counted, it fails
// where that was asked for, and else goes on to what lies below the layer.
#pragma once

#include <type_traits>

#include "counting.h"
#include "dispatch.h"

namespace ito_faults {

// What Vulkan wants in the results of a call that failed: handles that are null.
template <typename... Args>
void clear_results(Args...) {}
template <typename Info>
requires requires(const Info& info) { info.stage.module; } || requires(const Info& info) {
  info.pStages;
}
void clear_results(VkPipelineCache, uint32_t count, const Info*, const VkAllocationCallbacks*,
                   VkPipeline* pipelines) {
  for (uint32_t i = 0; i < count; ++i) pipelines[i] = VK_NULL_HANDLE;
}
inline void clear_results(const VkCommandBufferAllocateInfo* info, VkCommandBuffer* buffers) {
  for (uint32_t i = 0; i < info->commandBufferCount; ++i) buffers[i] = VK_NULL_HANDLE;
}
inline void clear_results(const VkDescriptorSetAllocateInfo* info, VkDescriptorSet* sets) {
  for (uint32_t i = 0; i < info->descriptorSetCount; ++i) sets[i] = VK_NULL_HANDLE;
}

template <Function kFunction, typename Pfn>
struct Wrapped;

template <Function kFunction, typename Result, typename Handle, typename... Args>
struct Wrapped<kFunction, Result(VKAPI_PTR*)(Handle, Args...)> {
  using Pfn = Result(VKAPI_PTR*)(Handle, Args...);
  static VKAPI_ATTR Result VKAPI_CALL call(Handle handle, Args... args) {
    Dispatch& dispatch = dispatch_of(key_of(handle));
    const VkResult answer = count_call(kFunction, dispatch.lost() ? Health::kLost : Health::kWell);
    if constexpr (std::is_same_v<Result, VkResult>) {
      if (answer != VK_SUCCESS) {
        if (answer == VK_ERROR_DEVICE_LOST) dispatch.lose();
        clear_results(args...);
        return answer;
      }
      const VkResult result = dispatch.get<Pfn>(kFunction)(handle, args...);
      return result;
    } else {
      return dispatch.get<Pfn>(kFunction)(handle, args...);
    }
  }
};

#define WRAPPED(name) ::ito_faults::Wrapped<::ito_faults::Function::name, PFN_##name>

}  // namespace ito_faults
