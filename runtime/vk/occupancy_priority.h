// VK_NV_compute_occupancy_priority, where the Vulkan headers are older than it: names, numbers and
// layouts are the registry's. Nothing else of Ito's.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#ifndef VK_NV_compute_occupancy_priority
#define VK_NV_compute_occupancy_priority 1
#define VK_NV_COMPUTE_OCCUPANCY_PRIORITY_EXTENSION_NAME "VK_NV_compute_occupancy_priority"
inline constexpr auto VK_STRUCTURE_TYPE_COMPUTE_OCCUPANCY_PRIORITY_PARAMETERS_NV =
    static_cast<VkStructureType>(1000645000);
inline constexpr auto VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COMPUTE_OCCUPANCY_PRIORITY_FEATURES_NV =
    static_cast<VkStructureType>(1000645001);
inline constexpr float VK_COMPUTE_OCCUPANCY_PRIORITY_NORMAL_NV = 0.50f;

struct VkComputeOccupancyPriorityParametersNV {
  VkStructureType sType;
  const void* pNext;
  float occupancyPriority;
  float occupancyThrottling;
};

struct VkPhysicalDeviceComputeOccupancyPriorityFeaturesNV {
  VkStructureType sType;
  void* pNext;
  VkBool32 computeOccupancyPriority;
};

using PFN_vkCmdSetComputeOccupancyPriorityNV =
    void(VKAPI_PTR*)(VkCommandBuffer, const VkComputeOccupancyPriorityParametersNV*);
#endif
