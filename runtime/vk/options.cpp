#include "runtime/vk/options.h"

#include <algorithm>
#include <cstdlib>

namespace ito::vk {
namespace {

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

DeviceFeatures enabled_features(const void* create_info_chain,
                                const std::vector<std::string>& extensions) {
  DeviceFeatures features;
  bool cooperative_matrix = false;
  for (auto* node = static_cast<const VkBaseInStructure*>(create_info_chain); node != nullptr;
       node = node->pNext) {
    const void* p = node;
    switch (node->sType) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES: {
        auto* f = static_cast<const VkPhysicalDeviceVulkan11Features*>(p);
        features.storage_16bit |= f->storageBuffer16BitAccess == VK_TRUE;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
        auto* f = static_cast<const VkPhysicalDeviceVulkan12Features*>(p);
        features.buffer_device_address |= f->bufferDeviceAddress == VK_TRUE;
        features.timeline_semaphore |= f->timelineSemaphore == VK_TRUE;
        features.shader_float16 |= f->shaderFloat16 == VK_TRUE;
        features.vulkan_memory_model |= f->vulkanMemoryModel == VK_TRUE;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
        auto* f = static_cast<const VkPhysicalDeviceVulkan13Features*>(p);
        features.subgroup_size_control |= f->subgroupSizeControl == VK_TRUE;
        features.compute_full_subgroups |= f->computeFullSubgroups == VK_TRUE;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES:
        features.buffer_device_address |=
            static_cast<const VkPhysicalDeviceBufferDeviceAddressFeatures*>(p)
                ->bufferDeviceAddress == VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES:
        features.timeline_semaphore |=
            static_cast<const VkPhysicalDeviceTimelineSemaphoreFeatures*>(p)->timelineSemaphore ==
            VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        features.storage_16bit |=
            static_cast<const VkPhysicalDevice16BitStorageFeatures*>(p)->storageBuffer16BitAccess ==
            VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
        features.shader_float16 |=
            static_cast<const VkPhysicalDeviceShaderFloat16Int8Features*>(p)->shaderFloat16 ==
            VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
        features.vulkan_memory_model |=
            static_cast<const VkPhysicalDeviceVulkanMemoryModelFeatures*>(p)->vulkanMemoryModel ==
            VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES: {
        auto* f = static_cast<const VkPhysicalDeviceSubgroupSizeControlFeatures*>(p);
        features.subgroup_size_control |= f->subgroupSizeControl == VK_TRUE;
        features.compute_full_subgroups |= f->computeFullSubgroups == VK_TRUE;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR:
        cooperative_matrix |= static_cast<const VkPhysicalDeviceCooperativeMatrixFeaturesKHR*>(p)
                                  ->cooperativeMatrix == VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR:
        features.pipeline_reports |=
            static_cast<const VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR*>(p)
                    ->pipelineExecutableInfo == VK_TRUE &&
            has(extensions, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
        break;
      default:
        break;
    }
  }
  features.cooperative_matrix =
      cooperative_matrix && has(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
  features.memory_budget = has(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  return features;
}

std::string default_cache_dir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::string(cache) + "/ito";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::string(home) + "/.cache/ito";
  return {};
}

}  // namespace ito::vk
