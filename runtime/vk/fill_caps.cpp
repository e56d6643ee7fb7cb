#include "runtime/vk/fill_caps.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "runtime/vk/instance.h"

namespace ito::vk {
namespace {

// Kept free in the largest allocation: an executor's guard bytes (runtime/executor_memory.cpp) and
// what a driver adds to a buffer.
constexpr uint64_t kAllocationReserve = 4096;

// Properties of one extension, as a chain of one.
template <typename T>
T properties_of(const Context& context, VkStructureType type) {
  T result = {};
  result.sType = type;
  VkPhysicalDeviceProperties2 all = {};
  all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  all.pNext = &result;
  context.instance_fn.vkGetPhysicalDeviceProperties2(context.physical_device, &all);
  return result;
}

// 0 where no extension says it.
uint32_t units_of_gpu(const Context& context) {
  const auto has = [&](const char* name) {
    return has_extension(context.instance_fn, context.physical_device, name);
  };
  if (has(VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME)) {
    const auto p = properties_of<VkPhysicalDeviceShaderCoreProperties2AMD>(
        context, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD);
    if (p.activeComputeUnitCount != 0) return p.activeComputeUnitCount;
  }
  if (has(VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME)) {
    const auto p = properties_of<VkPhysicalDeviceShaderCorePropertiesAMD>(
        context, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD);
    return p.shaderEngineCount * p.shaderArraysPerEngineCount * p.computeUnitsPerShaderArray;
  }
  if (has(VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
    return properties_of<VkPhysicalDeviceShaderSMBuiltinsPropertiesNV>(
               context, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV)
        .shaderSMCount;
  if (has(VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME))
    return properties_of<VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM>(
               context, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM)
        .shaderCoreCount;
  return 0;
}

MatrixElement element_of(VkComponentTypeKHR type) {
  switch (type) {
    case VK_COMPONENT_TYPE_FLOAT16_KHR:
      return MatrixElement::kF16;
    case VK_COMPONENT_TYPE_FLOAT32_KHR:
      return MatrixElement::kF32;
    case VK_COMPONENT_TYPE_FLOAT64_KHR:
      return MatrixElement::kF64;
    case VK_COMPONENT_TYPE_SINT8_KHR:
      return MatrixElement::kS8;
    case VK_COMPONENT_TYPE_SINT16_KHR:
      return MatrixElement::kS16;
    case VK_COMPONENT_TYPE_SINT32_KHR:
      return MatrixElement::kS32;
    case VK_COMPONENT_TYPE_SINT64_KHR:
      return MatrixElement::kS64;
    case VK_COMPONENT_TYPE_UINT8_KHR:
      return MatrixElement::kU8;
    case VK_COMPONENT_TYPE_UINT16_KHR:
      return MatrixElement::kU16;
    case VK_COMPONENT_TYPE_UINT32_KHR:
      return MatrixElement::kU32;
    case VK_COMPONENT_TYPE_UINT64_KHR:
      return MatrixElement::kU64;
    default:
      return MatrixElement::kOther;
  }
}

MatrixScope scope_of(VkScopeKHR scope) {
  if (scope == VK_SCOPE_SUBGROUP_KHR) return MatrixScope::kSubgroup;
  return scope == VK_SCOPE_WORKGROUP_KHR ? MatrixScope::kWorkgroup : MatrixScope::kOther;
}

std::vector<MatrixShape> matrix_shapes(const Context& context) {
  const auto get = context.instance_fn.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR;
  std::vector<VkCooperativeMatrixPropertiesKHR> rows;
  VkCooperativeMatrixPropertiesKHR blank = {};
  blank.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
  if (get == nullptr ||
      enumerate(rows, blank, [&](uint32_t* n, VkCooperativeMatrixPropertiesKHR* data) {
        return get(context.physical_device, n, data);
      }) != VK_SUCCESS)
    return {};
  std::vector<MatrixShape> shapes;
  for (const VkCooperativeMatrixPropertiesKHR& row : rows)
    shapes.push_back({row.MSize, row.NSize, row.KSize, element_of(row.AType), element_of(row.BType),
                      element_of(row.CType), element_of(row.ResultType),
                      row.saturatingAccumulation == VK_TRUE, scope_of(row.scope)});
  return shapes;
}

// Mesa's CPU driver offers cooperative matrices at every width, and dies of them when a subgroup
// has more lanes than a fragment has columns (512-bit vectors: 16 lanes, fragments of 8x8).
bool matrices_work(const Context& context) {
  constexpr uint32_t kLanesOfCpu = 8;
  return context.features.cooperative_matrix &&
         (!context.caps.is_cpu || context.caps.subgroup_size <= kLanesOfCpu);
}

}  // namespace

void fill_caps(Context& context, uint64_t most) {
  VkPhysicalDeviceSubgroupProperties subgroup = {};
  subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
  VkPhysicalDeviceSubgroupSizeControlProperties sizes = {};
  sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
  if (context.features.subgroup_size_control) subgroup.pNext = &sizes;
  VkPhysicalDeviceMaintenance3Properties maintenance = {};
  maintenance.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
  maintenance.pNext = &subgroup;
  VkPhysicalDeviceIDProperties id = {};
  id.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
  id.pNext = &maintenance;
  VkPhysicalDeviceProperties2 properties = {};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &id;
  context.instance_fn.vkGetPhysicalDeviceProperties2(context.physical_device, &properties);
  context.properties = properties.properties;
  context.max_allocation_bytes = maintenance.maxMemoryAllocationSize;
  if (most != 0) context.max_allocation_bytes = std::min(context.max_allocation_bytes, most);
  std::memcpy(context.driver_uuid, id.driverUUID, VK_UUID_SIZE);

  const VkPhysicalDeviceLimits& limits = context.properties.limits;
  DeviceCaps& caps = context.caps;
  caps.name = context.properties.deviceName;
  caps.is_cpu = context.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  caps.subgroup_size = std::max(1u, subgroup.subgroupSize);
  caps.min_subgroup_size = sizes.minSubgroupSize;
  caps.max_subgroup_size = sizes.maxSubgroupSize;
  caps.required_subgroup_size =
      context.features.subgroup_size_control && context.features.compute_full_subgroups &&
      (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  caps.max_workgroup_invocations = limits.maxComputeWorkGroupInvocations;
  caps.max_workgroup_size_x = limits.maxComputeWorkGroupSize[0];
  caps.shared_memory_bytes = limits.maxComputeSharedMemorySize;
  caps.max_groups_x = limits.maxComputeWorkGroupCount[0];
  caps.max_groups_y = limits.maxComputeWorkGroupCount[1];
  caps.compute_units = caps.is_cpu ? std::thread::hardware_concurrency() : units_of_gpu(context);
  caps.max_allocation_bytes =
      std::max(context.max_allocation_bytes, 2 * kAllocationReserve) - kAllocationReserve;
  caps.subgroup_arithmetic =
      (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
      (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
  caps.shader_float16 = context.features.shader_float16;
  caps.storage_16bit = context.features.storage_16bit;
  caps.cooperative_matrix = matrices_work(context);
  if (caps.cooperative_matrix) caps.matrix_shapes = matrix_shapes(context);
}

}  // namespace ito::vk
