// Device: a logical Vulkan device with its queue, memory and pipelines; created here or wrapped
// around a caller's. Safe from any thread. Knows nothing of tensors or plans (runtime/executor.h).
#pragma once

#include <memory>

#include "base/device_caps.h"
#include "base/result.h"
#include "runtime/vk/context.h"
#include "runtime/vk/instance.h"
#include "runtime/vk/memory.h"
#include "runtime/vk/options.h"
#include "runtime/vk/pending_uploads.h"
#include "runtime/vk/pipeline.h"
#include "runtime/vk/queue.h"

namespace ito::vk {

class Device {
 public:
  // Opens the device the options name. Errors, each one sentence: no Vulkan loader, no device, an
  // unknown name or index (those found are listed), a missing baseline feature (Vulkan 1.2 with
  // bufferDeviceAddress), validation asked for but not installed.
  static Result<std::unique_ptr<Device>> create(const DeviceOptions& options = {});

  // Works on a device of the caller's, with only what the caller enabled. Everything handed over
  // must outlive the Device. Where the queue is null the caller submits all that is recorded, what
  // uploads() holds first. Errors: a null handle, Vulkan below 1.2, bufferDeviceAddress not
  // enabled, no queue family that can compute.
  static Result<std::unique_ptr<Device>> wrap(const WrapOptions& options);

  // Waits for all work; every Buffer and executor of the device must be gone.
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceInfo& info() const { return info_; }
  // What compile() may assume: of the device, or of the form of its packs that it runs.
  const DeviceCaps& caps() const { return context_.caps; }
  // The form's name; kOwnForm where it is the device's own.
  const std::string& form() const { return context_.form; }
  const DeviceFeatures& features() const { return context_.features; }
  Counters counters() const;
  const LogFunction& log() const { return context_.log; }
  bool lost() const { return context_.lost; }

  Memory& memory() { return *memory_; }
  Queue& queue() { return *queue_; }
  // Empty for ever where the device has a queue.
  PendingUploads& uploads() { return *uploads_; }
  PipelineStore& pipelines() { return *pipelines_; }
  const Context& context() const { return context_; }
  VkInstance instance() const { return instance_handle_; }

 private:
  Device() = default;
  Status finish(const CommonOptions& options, const WrapQueue& queue, VkPipelineCache cache,
                OpenTwin open_twin);

  Context context_;
  Loader loader_;                       // of a wrapped device
  std::unique_ptr<Instance> instance_;  // null for a wrapped device
  VkInstance instance_handle_ = VK_NULL_HANDLE;
  bool owns_device_ = false;
  DeviceInfo info_;
  std::unique_ptr<Memory> memory_;
  std::unique_ptr<PendingUploads> uploads_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<PipelineStore> pipelines_;
};

}  // namespace ito::vk
