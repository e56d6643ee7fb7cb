#include "masks.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <limits>

namespace ito_faults {
namespace {

// A field of a structure in a chain.
struct Field {
  std::string_view mask;
  VkStructureType type;
  size_t offset;
};

#define IN(mask, Struct, kType, field) \
  { mask, VK_STRUCTURE_TYPE_##kType, offsetof(Struct, field) }
#define CORE(mask, field) \
  IN(mask, VkPhysicalDeviceFeatures2, PHYSICAL_DEVICE_FEATURES_2, features.field)
#define V11(mask, field) \
  IN(mask, VkPhysicalDeviceVulkan11Features, PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, field)
#define V12(mask, field) \
  IN(mask, VkPhysicalDeviceVulkan12Features, PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, field)
#define V13(mask, field) \
  IN(mask, VkPhysicalDeviceVulkan13Features, PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, field)
#define OWN(mask, Struct, kType, field) \
  IN(mask, VkPhysicalDevice##Struct, PHYSICAL_DEVICE_##kType, field)

constexpr Field kFeatures[] = {
    CORE("16bit", shaderInt16),
    V11("16bit", storageBuffer16BitAccess),
    V11("16bit", uniformAndStorageBuffer16BitAccess),
    V11("16bit", storagePushConstant16),
    V11("16bit", storageInputOutput16),
    V12("16bit", shaderFloat16),
    OWN("16bit", 16BitStorageFeatures, 16BIT_STORAGE_FEATURES, storageBuffer16BitAccess),
    OWN("16bit", 16BitStorageFeatures, 16BIT_STORAGE_FEATURES, uniformAndStorageBuffer16BitAccess),
    OWN("16bit", 16BitStorageFeatures, 16BIT_STORAGE_FEATURES, storagePushConstant16),
    OWN("16bit", 16BitStorageFeatures, 16BIT_STORAGE_FEATURES, storageInputOutput16),
    OWN("16bit", ShaderFloat16Int8Features, SHADER_FLOAT16_INT8_FEATURES, shaderFloat16),
#ifdef VK_KHR_shader_bfloat16
    OWN("16bit", ShaderBfloat16FeaturesKHR, SHADER_BFLOAT16_FEATURES_KHR, shaderBFloat16Type),
    OWN("16bit", ShaderBfloat16FeaturesKHR, SHADER_BFLOAT16_FEATURES_KHR, shaderBFloat16DotProduct),
    OWN("16bit", ShaderBfloat16FeaturesKHR, SHADER_BFLOAT16_FEATURES_KHR,
        shaderBFloat16CooperativeMatrix),
#endif
    V12("8bit", shaderInt8),
    V12("8bit", storageBuffer8BitAccess),
    V12("8bit", uniformAndStorageBuffer8BitAccess),
    V12("8bit", storagePushConstant8),
    OWN("8bit", 8BitStorageFeatures, 8BIT_STORAGE_FEATURES, storageBuffer8BitAccess),
    OWN("8bit", 8BitStorageFeatures, 8BIT_STORAGE_FEATURES, uniformAndStorageBuffer8BitAccess),
    OWN("8bit", 8BitStorageFeatures, 8BIT_STORAGE_FEATURES, storagePushConstant8),
    OWN("8bit", ShaderFloat16Int8Features, SHADER_FLOAT16_INT8_FEATURES, shaderInt8),
    CORE("int64", shaderInt64),
    CORE("float64", shaderFloat64),
    V12("timeline_semaphore", timelineSemaphore),
    OWN("timeline_semaphore", TimelineSemaphoreFeatures, TIMELINE_SEMAPHORE_FEATURES,
        timelineSemaphore),
    V12("buffer_device_address", bufferDeviceAddress),
    V12("buffer_device_address", bufferDeviceAddressCaptureReplay),
    V12("buffer_device_address", bufferDeviceAddressMultiDevice),
    OWN("buffer_device_address", BufferDeviceAddressFeatures, BUFFER_DEVICE_ADDRESS_FEATURES,
        bufferDeviceAddress),
    OWN("buffer_device_address", BufferDeviceAddressFeatures, BUFFER_DEVICE_ADDRESS_FEATURES,
        bufferDeviceAddressCaptureReplay),
    OWN("buffer_device_address", BufferDeviceAddressFeatures, BUFFER_DEVICE_ADDRESS_FEATURES,
        bufferDeviceAddressMultiDevice),
    OWN("buffer_device_address", BufferDeviceAddressFeaturesEXT, BUFFER_DEVICE_ADDRESS_FEATURES_EXT,
        bufferDeviceAddress),
    V12("memory_model", vulkanMemoryModel),
    V12("memory_model", vulkanMemoryModelDeviceScope),
    V12("memory_model", vulkanMemoryModelAvailabilityVisibilityChains),
    OWN("memory_model", VulkanMemoryModelFeatures, VULKAN_MEMORY_MODEL_FEATURES, vulkanMemoryModel),
    OWN("memory_model", VulkanMemoryModelFeatures, VULKAN_MEMORY_MODEL_FEATURES,
        vulkanMemoryModelDeviceScope),
    OWN("memory_model", VulkanMemoryModelFeatures, VULKAN_MEMORY_MODEL_FEATURES,
        vulkanMemoryModelAvailabilityVisibilityChains),
    V12("host_query_reset", hostQueryReset),
    OWN("host_query_reset", HostQueryResetFeatures, HOST_QUERY_RESET_FEATURES, hostQueryReset),
    V13("subgroup_size_control", subgroupSizeControl),
    V13("subgroup_size_control", computeFullSubgroups),
    OWN("subgroup_size_control", SubgroupSizeControlFeatures, SUBGROUP_SIZE_CONTROL_FEATURES,
        subgroupSizeControl),
    OWN("subgroup_size_control", SubgroupSizeControlFeatures, SUBGROUP_SIZE_CONTROL_FEATURES,
        computeFullSubgroups),
    V13("synchronization2", synchronization2),
    OWN("synchronization2", Synchronization2Features, SYNCHRONIZATION_2_FEATURES, synchronization2),
    OWN("cooperative_matrix", CooperativeMatrixFeaturesKHR, COOPERATIVE_MATRIX_FEATURES_KHR,
        cooperativeMatrix),
    OWN("cooperative_matrix", CooperativeMatrixFeaturesKHR, COOPERATIVE_MATRIX_FEATURES_KHR,
        cooperativeMatrixRobustBufferAccess),
    OWN("pipeline_executable_properties", PipelineExecutablePropertiesFeaturesKHR,
        PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, pipelineExecutableInfo),
};
#undef OWN
#undef V13
#undef V12
#undef V11
#undef CORE

// The extensions that go with a mask: what a device without the feature would not list.
struct MaskedExtension {
  std::string_view mask, name;
};
constexpr MaskedExtension kExtensions[] = {
    {"16bit", "VK_KHR_16bit_storage"},
    {"16bit", "VK_KHR_shader_float16_int8"},
    {"16bit", "VK_KHR_shader_bfloat16"},
    {"8bit", "VK_KHR_8bit_storage"},
    {"8bit", "VK_KHR_shader_float16_int8"},
    {"timeline_semaphore", "VK_KHR_timeline_semaphore"},
    {"buffer_device_address", "VK_KHR_buffer_device_address"},
    {"buffer_device_address", "VK_EXT_buffer_device_address"},
    {"memory_model", "VK_KHR_vulkan_memory_model"},
    {"host_query_reset", "VK_EXT_host_query_reset"},
    {"subgroup_size_control", "VK_EXT_subgroup_size_control"},
    {"synchronization2", "VK_KHR_synchronization2"},
    {"cooperative_matrix", "VK_KHR_cooperative_matrix"},
    {"cooperative_matrix", "VK_NV_cooperative_matrix"},
    {"cooperative_matrix", "VK_NV_cooperative_matrix2"},
    {"pipeline_executable_properties", "VK_KHR_pipeline_executable_properties"},
    {"memory_budget", "VK_EXT_memory_budget"},
};

constexpr std::string_view kTimestamps = "timestamps", kArithmetic = "subgroup_arithmetic",
                           kSubgroupOperations = "subgroup_operations";

// The limits outside VkPhysicalDeviceLimits.
constexpr Field kAllocationLimits[] = {
    IN("", VkPhysicalDeviceMaintenance3Properties, PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
       maxMemoryAllocationSize),
    IN("", VkPhysicalDeviceVulkan11Properties, PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
       maxMemoryAllocationSize),
    IN("", VkPhysicalDeviceMaintenance4Properties, PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
       maxBufferSize),
    IN("", VkPhysicalDeviceVulkan13Properties, PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES,
       maxBufferSize),
};
constexpr Field kSubgroupSizes[] = {
    IN("", VkPhysicalDeviceSubgroupProperties, PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, subgroupSize),
    IN("", VkPhysicalDeviceVulkan11Properties, PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, subgroupSize),
    IN("", VkPhysicalDeviceSubgroupSizeControlProperties,
       PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, minSubgroupSize),
    IN("", VkPhysicalDeviceSubgroupSizeControlProperties,
       PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, maxSubgroupSize),
    IN("", VkPhysicalDeviceVulkan13Properties, PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES,
       minSubgroupSize),
    IN("", VkPhysicalDeviceVulkan13Properties, PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES,
       maxSubgroupSize),
};
constexpr Field kOperations[] = {
    IN("", VkPhysicalDeviceSubgroupProperties, PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
       supportedOperations),
    IN("", VkPhysicalDeviceVulkan11Properties, PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
       subgroupSupportedOperations),
};
#undef IN

template <typename T>
T& at(void* structure, size_t offset) {
  return *reinterpret_cast<T*>(static_cast<std::byte*>(structure) + offset);
}

// Calls visit(field's place) for the fields of `fields` that are in the chain.
template <typename T, size_t kSize, typename Visit>
void visit_chain(void* chain, const Field (&fields)[kSize], Visit&& visit) {
  for (auto* node = static_cast<VkBaseOutStructure*>(chain); node != nullptr; node = node->pNext)
    for (const Field& field : fields)
      if (field.type == node->sType) visit(field, at<T>(node, field.offset));
}

template <typename T>
void lower(T& value, const std::optional<uint64_t>& most) {
  if (most && value > *most) value = static_cast<T>(*most);
}

bool is_without(const Masks& masks, std::string_view name) {
  return masks.without.contains(std::string(name));
}

void lower_heaps(const Masks& masks, VkPhysicalDeviceMemoryProperties& memory) {
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i)
    lower(memory.memoryHeaps[i].size, masks.heap);
}

VkQueueFamilyProperties& properties_of(VkQueueFamilyProperties& family) { return family; }
VkQueueFamilyProperties& properties_of(VkQueueFamilyProperties2& family) {
  return family.queueFamilyProperties;
}

}  // namespace

bool is_maskable(std::string_view name) {
  const auto same = [&](const auto& row) { return row.mask == name; };
  return name == kTimestamps || name == kArithmetic || name == kSubgroupOperations ||
         std::any_of(std::begin(kFeatures), std::end(kFeatures), same) ||
         std::any_of(std::begin(kExtensions), std::end(kExtensions), same);
}

bool shows_extension(const Masks& masks, std::string_view name) {
  if (masks.hidden_extensions.contains(std::string(name))) return false;
  return std::none_of(
      std::begin(kExtensions), std::end(kExtensions),
      [&](const MaskedExtension& row) { return row.name == name && is_without(masks, row.mask); });
}

void mask_properties(const Masks& masks, VkPhysicalDeviceProperties& properties) {
  VkPhysicalDeviceLimits& limits = properties.limits;
  lower(limits.maxComputeWorkGroupInvocations, masks.invocations);
  for (uint32_t& size : limits.maxComputeWorkGroupSize) lower(size, masks.invocations);
  for (uint32_t& count : limits.maxComputeWorkGroupCount) lower(count, masks.groups);
  lower(limits.maxComputeSharedMemorySize, masks.shared);
  lower(limits.maxPushConstantsSize, masks.push_constants);
  lower(limits.maxStorageBufferRange, masks.storage_range);
  lower(limits.maxMemoryAllocationCount, masks.allocations);
  if (is_without(masks, kTimestamps)) limits.timestampComputeAndGraphics = VK_FALSE;
  if (masks.api_version)
    properties.apiVersion = std::min(properties.apiVersion, *masks.api_version);
  if (masks.device_type) properties.deviceType = *masks.device_type;
}

void mask_properties(const Masks& masks, VkPhysicalDeviceProperties2& properties) {
  mask_properties(masks, properties.properties);
  visit_chain<VkDeviceSize>(&properties, kAllocationLimits, [&](const Field&, VkDeviceSize& value) {
    lower(value, masks.allocation);
  });
  visit_chain<uint32_t>(&properties, kSubgroupSizes, [&](const Field&, uint32_t& value) {
    if (masks.subgroup) value = static_cast<uint32_t>(*masks.subgroup);
  });
  VkSubgroupFeatureFlags hidden = 0;
  if (is_without(masks, kArithmetic))
    hidden = VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_CLUSTERED_BIT;
  if (is_without(masks, kSubgroupOperations)) hidden = ~VkFlags{VK_SUBGROUP_FEATURE_BASIC_BIT};
  visit_chain<VkSubgroupFeatureFlags>(
      &properties, kOperations,
      [&](const Field&, VkSubgroupFeatureFlags& value) { value &= ~hidden; });
}

void mask_features(const Masks& masks, VkPhysicalDeviceFeatures2& features) {
  visit_chain<VkBool32>(&features, kFeatures, [&](const Field& field, VkBool32& value) {
    if (is_without(masks, field.mask)) value = VK_FALSE;
  });
}

void mask_features(const Masks& masks, VkPhysicalDeviceFeatures& features) {
  VkPhysicalDeviceFeatures2 chain = {};
  chain.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  chain.features = features;
  mask_features(masks, chain);
  features = chain.features;
}

void mask_memory(const Masks& masks, VkPhysicalDeviceMemoryProperties& memory) {
  lower_heaps(masks, memory);
}

void mask_memory(const Masks& masks, VkPhysicalDeviceMemoryProperties2& memory) {
  lower_heaps(masks, memory.memoryProperties);
  for (auto* node = reinterpret_cast<VkBaseOutStructure*>(&memory); node != nullptr;
       node = node->pNext) {
    if (node->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
    auto* budget = reinterpret_cast<VkPhysicalDeviceMemoryBudgetPropertiesEXT*>(node);
    for (VkDeviceSize& bytes : budget->heapBudget) lower(bytes, masks.heap);
  }
}

template <typename Family>
void mask_families(const Masks& masks, std::vector<Family>& families) {
  for (Family& family : families)
    if (is_without(masks, kTimestamps)) properties_of(family).timestampValidBits = 0;
  if (!masks.queues) return;
  for (Family& family : families) lower(properties_of(family).queueCount, masks.queues);
  const auto computes = std::find_if(families.begin(), families.end(), [](Family& family) {
    return (properties_of(family).queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
  });
  if (computes != families.end()) families.erase(computes + 1, families.end());
}
template void mask_families(const Masks&, std::vector<VkQueueFamilyProperties>&);
template void mask_families(const Masks&, std::vector<VkQueueFamilyProperties2>&);

VkResult check_device_info(const Masks& masks, const VkDeviceCreateInfo& info,
                           const std::vector<VkQueueFamilyProperties>& families) {
  for (uint32_t i = 0; i < info.enabledExtensionCount; ++i)
    if (!shows_extension(masks, info.ppEnabledExtensionNames[i]))
      return VK_ERROR_EXTENSION_NOT_PRESENT;
  bool asks_for_masked = false;
  const auto look = [&](const Field& field, VkBool32& value) {
    asks_for_masked = asks_for_masked || (value != VK_FALSE && is_without(masks, field.mask));
  };
  visit_chain<VkBool32>(const_cast<void*>(info.pNext), kFeatures, look);
  if (info.pEnabledFeatures != nullptr) {
    VkPhysicalDeviceFeatures2 enabled = {};
    enabled.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    enabled.features = *info.pEnabledFeatures;
    visit_chain<VkBool32>(&enabled, kFeatures, look);
  }
  if (asks_for_masked) return VK_ERROR_FEATURE_NOT_PRESENT;
  for (uint32_t i = 0; i < info.queueCreateInfoCount; ++i) {
    const VkDeviceQueueCreateInfo& queue = info.pQueueCreateInfos[i];
    if (queue.queueFamilyIndex >= families.size() ||
        queue.queueCount > families[queue.queueFamilyIndex].queueCount)
      return VK_ERROR_INITIALIZATION_FAILED;
  }
  return VK_SUCCESS;
}

}  // namespace ito_faults
