// Dispatch: the functions below the layer, of an instance or of a device, and by which handle they
// are found. Not for what the layer does before it calls them.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "functions.h"

namespace ito_faults {

class Dispatch {
 public:
  // Of an instance.
  Dispatch(PFN_vkGetInstanceProcAddr next, VkInstance instance)
      : next_instance_(next), instance_(instance) {}
  // Of a device.
  Dispatch(PFN_vkGetDeviceProcAddr next, VkDevice device, VkPhysicalDevice physical)
      : next_device_(next), device_(device), physical_(physical) {}

  // Null where nothing below has it.
  PFN_vkVoidFunction find(Function function);
  PFN_vkVoidFunction find(const char* name) const;
  template <typename Pfn>
  Pfn get(Function function) {
    return reinterpret_cast<Pfn>(find(function));
  }

  VkInstance instance() const { return instance_; }
  VkDevice device() const { return device_; }
  VkPhysicalDevice physical() const { return physical_; }
  bool lost() const { return lost_; }
  // A device that is lost has stopped: waits, the first time, until it has done what it was given,
  // so that what its user destroys now is not in use. Of an instance it does nothing.
  void lose();

 private:
  PFN_vkGetInstanceProcAddr next_instance_ = nullptr;
  PFN_vkGetDeviceProcAddr next_device_ = nullptr;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDevice device_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  std::array<std::atomic<PFN_vkVoidFunction>, kFunctions> found_{};
  std::atomic<bool> lost_{false};
};

// Every dispatchable handle begins with a pointer of the loader's that those of one instance (its
// physical devices) or one device (its queues and command buffers) have in common.
template <typename Handle>
void* key_of(Handle handle) {
  return *reinterpret_cast<void**>(handle);
}

void keep(void* key, std::unique_ptr<Dispatch> dispatch);
Dispatch& dispatch_of(void* key);
std::unique_ptr<Dispatch> take(void* key);

}  // namespace ito_faults
