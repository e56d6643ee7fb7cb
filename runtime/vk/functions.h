// Vulkan functions as tables: one per loader, one per instance, one per device. Nothing in Ito
// calls a Vulkan symbol directly, so a host program's own loader can be used and no global exists.
// Not for choosing a device (instance.h, device.h).
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/vk/occupancy_priority.h"

namespace ito::vk {

#define ITO_VK_GLOBAL_FUNCTIONS(X)      \
  X(vkCreateInstance)                   \
  X(vkEnumerateInstanceVersion)         \
  X(vkEnumerateInstanceLayerProperties) \
  X(vkEnumerateInstanceExtensionProperties)

#define ITO_VK_INSTANCE_FUNCTIONS(X)          \
  X(vkDestroyInstance)                        \
  X(vkEnumeratePhysicalDevices)               \
  X(vkGetPhysicalDeviceProperties)            \
  X(vkGetPhysicalDeviceProperties2)           \
  X(vkGetPhysicalDeviceFeatures2)             \
  X(vkGetPhysicalDeviceMemoryProperties2)     \
  X(vkGetPhysicalDeviceQueueFamilyProperties) \
  X(vkEnumerateDeviceExtensionProperties)     \
  X(vkCreateDevice)                           \
  X(vkGetDeviceProcAddr)

#define ITO_VK_INSTANCE_OPTIONAL_FUNCTIONS(X) \
  X(vkCreateDebugUtilsMessengerEXT)           \
  X(vkDestroyDebugUtilsMessengerEXT)          \
  X(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)

#define ITO_VK_DEVICE_FUNCTIONS(X) \
  X(vkDestroyDevice)               \
  X(vkDeviceWaitIdle)              \
  X(vkGetDeviceQueue)              \
  X(vkQueueSubmit)                 \
  X(vkAllocateMemory)              \
  X(vkFreeMemory)                  \
  X(vkMapMemory)                   \
  X(vkUnmapMemory)                 \
  X(vkCreateBuffer)                \
  X(vkDestroyBuffer)               \
  X(vkGetBufferMemoryRequirements) \
  X(vkBindBufferMemory)            \
  X(vkGetBufferDeviceAddress)      \
  X(vkCreateFence)                 \
  X(vkDestroyFence)                \
  X(vkResetFences)                 \
  X(vkGetFenceStatus)              \
  X(vkWaitForFences)               \
  X(vkCreateSemaphore)             \
  X(vkDestroySemaphore)            \
  X(vkCreateShaderModule)          \
  X(vkDestroyShaderModule)         \
  X(vkCreatePipelineCache)         \
  X(vkDestroyPipelineCache)        \
  X(vkGetPipelineCacheData)        \
  X(vkCreatePipelineLayout)        \
  X(vkDestroyPipelineLayout)       \
  X(vkCreateComputePipelines)      \
  X(vkDestroyPipeline)             \
  X(vkCreateCommandPool)           \
  X(vkDestroyCommandPool)          \
  X(vkResetCommandPool)            \
  X(vkAllocateCommandBuffers)      \
  X(vkBeginCommandBuffer)          \
  X(vkEndCommandBuffer)            \
  X(vkCmdBindPipeline)             \
  X(vkCmdPushConstants)            \
  X(vkCmdDispatch)                 \
  X(vkCmdDispatchBase)             \
  X(vkCmdPipelineBarrier)          \
  X(vkCmdCopyBuffer)               \
  X(vkCmdFillBuffer)               \
  X(vkCmdUpdateBuffer)             \
  X(vkCmdCopyBufferToImage)        \
  X(vkCmdCopyImageToBuffer)        \
  X(vkCmdWriteTimestamp)           \
  X(vkCmdResetQueryPool)           \
  X(vkCmdCopyQueryPoolResults)     \
  X(vkCreateQueryPool)             \
  X(vkDestroyQueryPool)            \
  X(vkGetQueryPoolResults)

// Present only where timelineSemaphore is enabled, VK_KHR_pipeline_executable_properties and
// VK_NV_compute_occupancy_priority.
#define ITO_VK_DEVICE_OPTIONAL_FUNCTIONS(X)            \
  X(vkGetSemaphoreCounterValue)                        \
  X(vkWaitSemaphores)                                  \
  X(vkGetPipelineExecutablePropertiesKHR)              \
  X(vkGetPipelineExecutableStatisticsKHR)              \
  X(vkGetPipelineExecutableInternalRepresentationsKHR) \
  X(vkCmdSetComputeOccupancyPriorityNV)

#define ITO_VK_DECLARE(name) PFN_##name name = nullptr;

struct GlobalFunctions {
  PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = nullptr;
  ITO_VK_GLOBAL_FUNCTIONS(ITO_VK_DECLARE)
};

struct InstanceFunctions {
  ITO_VK_INSTANCE_FUNCTIONS(ITO_VK_DECLARE)
  ITO_VK_INSTANCE_OPTIONAL_FUNCTIONS(ITO_VK_DECLARE)
};

struct DeviceFunctions {
  ITO_VK_DEVICE_FUNCTIONS(ITO_VK_DECLARE)
  ITO_VK_DEVICE_OPTIONAL_FUNCTIONS(ITO_VK_DECLARE)
};

#undef ITO_VK_DECLARE

// The Vulkan loader: a function given by the caller, or the shared library opened here and closed
// with the last copy of this value.
class Loader {
 public:
  // `given` wins where not null; otherwise the library `path` is opened with dlopen.
  static Result<Loader> open(PFN_vkGetInstanceProcAddr given, const std::string& path);

  const GlobalFunctions& functions() const { return functions_; }

 private:
  std::shared_ptr<void> library_;
  GlobalFunctions functions_;
};

// Errors name the function the driver lacks.
Result<InstanceFunctions> load_instance_functions(PFN_vkGetInstanceProcAddr get, VkInstance);
Result<DeviceFunctions> load_device_functions(PFN_vkGetDeviceProcAddr get, VkDevice);

// A VkResult other than success as an Error: out of memory and device loss keep their kinds.
// `what` says what was tried, e.g. "allocating 64 MiB".
Error vk_error(VkResult result, std::string_view what);
std::string_view vk_result_name(VkResult result);

// Reads a whole Vulkan enumeration: call(count, data) is tried again while it grows.
template <typename T, typename Call>
VkResult enumerate(std::vector<T>& out, const T& blank, Call&& call) {
  VkResult result = VK_INCOMPLETE;
  while (result == VK_INCOMPLETE) {
    uint32_t count = 0;
    result = call(&count, nullptr);
    if (result != VK_SUCCESS) return result;
    out.assign(count, blank);
    if (count == 0) return VK_SUCCESS;
    result = call(&count, out.data());
    out.resize(count);
  }
  return result;
}

}  // namespace ito::vk
