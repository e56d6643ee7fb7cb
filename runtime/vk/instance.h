// Instance: an owned VkInstance (with validation where asked) and the physical devices it sees.
// Not for logical devices (device.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/vk/functions.h"
#include "runtime/vk/options.h"

namespace ito::vk {

// One physical device, as `ito devices` shows it.
struct DeviceInfo {
  int index = 0;
  std::string name;
  std::string type;           // "discrete GPU", "integrated GPU", "virtual GPU", "CPU", "other"
  std::string driver;         // driver name and version text
  std::string vulkan;         // "1.4.309"
  uint64_t memory_bytes = 0;  // of the largest device-local heap
  std::string missing;        // the first baseline feature it lacks; empty: usable
};

class Instance {
 public:
  // Errors: no loader, no Vulkan 1.1, validation asked for but its layer not installed.
  static Result<std::unique_ptr<Instance>> create(const DeviceOptions& options);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  VkInstance handle() const { return instance_; }
  const InstanceFunctions& functions() const { return functions_; }
  Result<std::vector<VkPhysicalDevice>> physical_devices() const;

 private:
  Instance() = default;

  Loader loader_;
  InstanceFunctions functions_;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  const VkAllocationCallbacks* callbacks_ = nullptr;
  std::function<void(std::string_view)> on_message_;
};

DeviceInfo describe(const InstanceFunctions& fn, VkPhysicalDevice device, int index);

// Whether the device has the extension, enabled or not.
bool has_extension(const InstanceFunctions& fn, VkPhysicalDevice device, const char* name);

// What a device supports, as opposed to what is enabled.
DeviceFeatures supported_features(const InstanceFunctions& fn, VkPhysicalDevice device);

// All devices of the machine, in the order of DeviceOptions::index.
Result<std::vector<DeviceInfo>> list_devices(const DeviceOptions& options);

// The device the options ask for: by name, by index, else the first usable of the best type
// (discrete, integrated, virtual, CPU). Errors list what was found.
struct Choice {
  VkPhysicalDevice device = VK_NULL_HANDLE;
  DeviceInfo info;
};
Result<Choice> choose_device(const Instance& instance, const DeviceOptions& options);

// The first queue family that can compute, preferring one without graphics; or -1.
int compute_queue_family(const InstanceFunctions& fn, VkPhysicalDevice device);

}  // namespace ito::vk
