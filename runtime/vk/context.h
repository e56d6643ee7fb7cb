// Context: what every object of one device shares: its handles, function table, limits, enabled
// features and counters. Owned by Device; everything else keeps a reference. Not a public entry.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/device_caps.h"
#include "base/device_forms.h"
#include "runtime/vk/functions.h"
#include "runtime/vk/options.h"

namespace ito::vk {

// Totals since the device was made. A prepared program's replays raise only `submits` and
// `throttle_waits`.
struct Counters {
  uint64_t allocations = 0;        // buffers cut from memory blocks
  uint64_t memory_blocks = 0;      // vkAllocateMemory calls
  uint64_t pipelines_created = 0;  // vkCreateComputePipelines calls
  uint64_t glsl_compilations = 0;  // runs of glslang
  uint64_t shader_cache_hits = 0;  // SPIR-V read from the disk cache instead
  uint64_t packed_kernels = 0;     // SPIR-V taken from a pack instead
  uint64_t submits = 0;            // vkQueueSubmit calls
  uint64_t host_waits = 0;         // the host waited for a result
  uint64_t throttle_waits = 0;     // the host was ahead by the bounded number of submits
  uint64_t recordings = 0;         // command buffers recorded

  bool operator==(const Counters&) const = default;
};

struct AtomicCounters {
  std::atomic<uint64_t> allocations{0}, memory_blocks{0}, pipelines_created{0},
      glsl_compilations{0}, shader_cache_hits{0}, packed_kernels{0}, submits{0}, host_waits{0},
      throttle_waits{0}, recordings{0};
};

struct Context {
  DeviceFunctions fn;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  const VkAllocationCallbacks* callbacks = nullptr;
  InstanceFunctions instance_fn;
  VkPhysicalDeviceProperties properties = {};
  uint64_t max_allocation_bytes = 0;
  uint8_t driver_uuid[VK_UUID_SIZE] = {};
  DeviceFeatures features;
  DeviceCaps caps;               // what programs are planned for: the device's, or a form's
  std::string form{kOwnForm};    // what that is called
  float occupancy_priority = 0;  // CommonOptions'; 0 too where it is not enabled
  LogFunction log;
  mutable AtomicCounters counters;
  mutable std::atomic<bool> lost{false};

  // vk_error, and remembers a lost device.
  Error error(VkResult result, std::string_view what) const {
    if (result == VK_ERROR_DEVICE_LOST) lost = true;
    return vk_error(result, what);
  }
};

}  // namespace ito::vk
