// HostDevice: a Vulkan device as an engine would have made it, with nothing enabled but the
// baseline (and timeline semaphores where asked for), and a queue of it. For tests of what is
// wrapped; messages of validation go to the log of the options it is made with.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "runtime/vk/instance.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {

class HostDevice {
 public:
  // A failure is the test's; then `device` is null.
  explicit HostDevice(const vk::DeviceOptions& options, bool timeline = false) {
    make(options, timeline);
  }
  ~HostDevice() {
    if (device != VK_NULL_HANDLE) fn.vkDestroyDevice(device, nullptr);
  }
  HostDevice(const HostDevice&) = delete;
  HostDevice& operator=(const HostDevice&) = delete;

  // The chain that the device was made with.
  const void* features() const { return &address_; }

  std::unique_ptr<vk::Instance> instance;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t family = 0;
  vk::DeviceFunctions fn;

 private:
  void make(const vk::DeviceOptions& options, bool timeline) {
    ASSERT_OK_AND_ASSIGN(instance, vk::Instance::create(options));
    ASSERT_OK_AND_ASSIGN(const vk::Choice choice, vk::choose_device(*instance, options));
    physical = choice.device;
    const vk::InstanceFunctions& functions = instance->functions();
    family = static_cast<uint32_t>(vk::compute_queue_family(functions, physical));
    address_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES;
    address_.bufferDeviceAddress = VK_TRUE;
    timeline_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES;
    timeline_.timelineSemaphore = VK_TRUE;
    if (timeline) address_.pNext = &timeline_;
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queues = {};
    queues.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queues.queueFamilyIndex = family;
    queues.queueCount = 1;
    queues.pQueuePriorities = &priority;
    VkDeviceCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &address_;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queues;
    ASSERT_EQ(functions.vkCreateDevice(physical, &info, nullptr, &device), VK_SUCCESS);
    ASSERT_OK_AND_ASSIGN(fn, vk::load_device_functions(functions.vkGetDeviceProcAddr, device));
    fn.vkGetDeviceQueue(device, family, 0, &queue);
  }

  VkPhysicalDeviceBufferDeviceAddressFeatures address_ = {};
  VkPhysicalDeviceTimelineSemaphoreFeatures timeline_ = {};
};

}  // namespace ito::test
