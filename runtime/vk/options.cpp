#include "runtime/vk/options.h"

#include <algorithm>
#include <cstdlib>

namespace ito::vk {
namespace {

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Calls visit(VkBool32&, bool DeviceFeatures::*) for each feature that a chain has a field for.
template <typename Visit>
void visit_features(void* chain, Visit&& visit) {
  using F = DeviceFeatures;
  const auto as = [](auto* node, auto type) { return reinterpret_cast<decltype(type)*>(node); };
  for (auto* node = static_cast<VkBaseOutStructure*>(chain); node != nullptr; node = node->pNext) {
    switch (static_cast<int>(node->sType)) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES:
        visit(as(node, VkPhysicalDeviceVulkan11Features{})->storageBuffer16BitAccess,
              &F::storage_16bit);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
        auto* f = as(node, VkPhysicalDeviceVulkan12Features{});
        visit(f->bufferDeviceAddress, &F::buffer_device_address);
        visit(f->timelineSemaphore, &F::timeline_semaphore);
        visit(f->shaderFloat16, &F::shader_float16);
        visit(f->vulkanMemoryModel, &F::vulkan_memory_model);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
        auto* f = as(node, VkPhysicalDeviceVulkan13Features{});
        visit(f->subgroupSizeControl, &F::subgroup_size_control);
        visit(f->computeFullSubgroups, &F::compute_full_subgroups);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES:
        visit(as(node, VkPhysicalDeviceBufferDeviceAddressFeatures{})->bufferDeviceAddress,
              &F::buffer_device_address);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES:
        visit(as(node, VkPhysicalDeviceTimelineSemaphoreFeatures{})->timelineSemaphore,
              &F::timeline_semaphore);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        visit(as(node, VkPhysicalDevice16BitStorageFeatures{})->storageBuffer16BitAccess,
              &F::storage_16bit);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
        visit(as(node, VkPhysicalDeviceShaderFloat16Int8Features{})->shaderFloat16,
              &F::shader_float16);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
        visit(as(node, VkPhysicalDeviceVulkanMemoryModelFeatures{})->vulkanMemoryModel,
              &F::vulkan_memory_model);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES: {
        auto* f = as(node, VkPhysicalDeviceSubgroupSizeControlFeatures{});
        visit(f->subgroupSizeControl, &F::subgroup_size_control);
        visit(f->computeFullSubgroups, &F::compute_full_subgroups);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR:
        visit(as(node, VkPhysicalDeviceCooperativeMatrixFeaturesKHR{})->cooperativeMatrix,
              &F::cooperative_matrix);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR:
        visit(as(node, VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR{})
                  ->pipelineExecutableInfo,
              &F::pipeline_reports);
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COMPUTE_OCCUPANCY_PRIORITY_FEATURES_NV:
        visit(as(node, VkPhysicalDeviceComputeOccupancyPriorityFeaturesNV{})
                  ->computeOccupancyPriority,
              &F::occupancy_priority);
        break;
      default:
        break;
    }
  }
}

}  // namespace

DeviceFeatures enabled_features(const void* create_info_chain,
                                const std::vector<std::string>& extensions) {
  DeviceFeatures features;
  // Only read.
  visit_features(const_cast<void*>(create_info_chain),
                 [&](VkBool32& enabled, bool DeviceFeatures::*feature) {
                   features.*feature |= enabled == VK_TRUE;
                 });
  features.pipeline_reports &=
      has(extensions, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  features.cooperative_matrix &= has(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
  features.occupancy_priority &= has(extensions, VK_NV_COMPUTE_OCCUPANCY_PRIORITY_EXTENSION_NAME);
  features.memory_budget = has(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  return features;
}

void enable_features(void* create_info_chain, const DeviceFeatures& wanted) {
  visit_features(create_info_chain, [&](VkBool32& enabled, bool DeviceFeatures::*feature) {
    if (wanted.*feature) enabled = VK_TRUE;
  });
}

std::string default_cache_dir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::string(cache) + "/ito";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::string(home) + "/.cache/ito";
  return {};
}

}  // namespace ito::vk
