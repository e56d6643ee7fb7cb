// How a caller asks for a device (DeviceOptions) or hands over its own (WrapOptions), and what is
// enabled on it (DeviceFeatures). Plain data. Not for what kernels may assume (DeviceCaps).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/kernel_pack.h"
#include "base/log.h"
#include "runtime/vk/functions.h"
#include "runtime/vk/parallel.h"

namespace ito::vk {

// Features and extensions that are enabled on a device. Only bufferDeviceAddress is required.
struct DeviceFeatures {
  bool buffer_device_address = false;
  bool timeline_semaphore = false;
  bool shader_float16 = false;         // shaderFloat16
  bool storage_16bit = false;          // storageBuffer16BitAccess
  bool vulkan_memory_model = false;    // vulkanMemoryModel
  bool subgroup_size_control = false;  // subgroupSizeControl
  bool compute_full_subgroups = false;
  bool cooperative_matrix = false;  // VK_KHR_cooperative_matrix and its feature
  bool memory_budget = false;       // VK_EXT_memory_budget
  // VK_KHR_pipeline_executable_properties and its feature (pipeline_report.h).
  bool pipeline_reports = false;
  bool occupancy_priority = false;  // VK_NV_compute_occupancy_priority and its feature

  bool operator==(const DeviceFeatures&) const = default;
};

// Reads what a caller enabled from the pNext chain (or VkPhysicalDeviceFeatures2) that it gave to
// vkCreateDevice and from its extension names.
DeviceFeatures enabled_features(const void* create_info_chain,
                                const std::vector<std::string>& extensions);

// The other way round: sets what is `wanted` and has a field in such a chain; unsets nothing.
void enable_features(void* create_info_chain, const DeviceFeatures& wanted);

// The folder of compiled shaders: $XDG_CACHE_HOME/ito, or ~/.cache/ito. Empty (no disk cache) where
// neither variable is set. The only place where runtime/vk reads the environment.
std::string default_cache_dir();

// What both ways of getting a device have in common.
struct CommonOptions {
  LogFunction log = default_log();
  // Validation messages (warnings and errors); where empty they go to `log`. Called from any
  // thread.
  std::function<void(std::string_view)> on_validation_message;
  const VkAllocationCallbacks* allocation_callbacks = nullptr;  // outlive the device
  uint64_t memory_budget = 0;  // bytes of device memory; 0: no limit
  // Bytes of the largest piece of device memory, where less than the driver's: for tests of what is
  // cut into pieces; 0: the driver's.
  uint64_t max_allocation_bytes = 0;
  std::string cache_dir = default_cache_dir();  // empty: no disk cache
  // Kernels made ahead of time. Where all of them have the form of this device, or the library has
  // no compiler and they have another that the device can run, programs are planned for that form.
  Packs packs = {};
  uint32_t compile_threads = 0;  // 0: as many as the machine has
  RunJobs run_jobs;              // compiles in place of threads of Ito's own
  // Told how many of the kernels that are being made are done, from any thread, before the first
  // and after each; false: no more are made, and what wanted them fails with kInterrupted.
  std::function<bool(size_t done, size_t total)> on_progress;
  // Of dispatches in a caller's command buffers, where VK_NV_compute_occupancy_priority is enabled;
  // 0: none is set.
  float occupancy_priority = 0;
};

struct DeviceOptions : CommonOptions {
  int index = -1;           // position in list_devices; -1: the best one
  std::string name;         // a part of the device's name, any case; wins over index
  bool validation = false;  // the Khronos layer, with synchronization validation
  // Pretend that the device lacks what is false here; for tests of the fallback paths. Reports of
  // pipelines are off unless asked for.
  DeviceFeatures allowed = {true, true, true, true, true, true, true, true, true, false};
  // Nothing will be submitted: what only running needs is not made, so that a driver that stands
  // without its GPU will do.
  bool compile_only = false;
  // Of the queue beside those of other programs, where VK_KHR_global_priority is there (or its
  // forerunner of EXT); nothing: as the driver has it. Where the system does not permit it, it
  // stays that, and the log says so.
  std::optional<VkQueueGlobalPriorityKHR> queue_priority;
  PFN_vkGetInstanceProcAddr loader = nullptr;  // null: open loader_path
  std::string loader_path = "libvulkan.so.1";
};

// A queue of the caller's. The lock is held around each vkQueueSubmit; leave empty where no other
// thread submits to that queue. A null queue: the caller submits everything, to queues of `family`.
struct WrapQueue {
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t family = 0;
  std::function<void()> lock;
  std::function<void()> unlock;
};

struct WrapOptions : CommonOptions {
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  std::vector<WrapQueue> queues;              // the first one whose family can compute is used
  uint32_t api_version = VK_API_VERSION_1_2;  // of the caller's instance
  DeviceFeatures features;                    // what the caller enabled, not what is supported
  VkPipelineCache pipeline_cache =
      VK_NULL_HANDLE;                          // the caller's, used in place of one in cache_dir
  PFN_vkGetInstanceProcAddr loader = nullptr;  // null: open loader_path
  std::string loader_path = "libvulkan.so.1";
};

}  // namespace ito::vk
