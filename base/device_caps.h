// DeviceCaps: everything compile() may know of a device, as a plain value, so that each of its
// choices can be made and tested without one. Filled by runtime/vk from a real device, read by
// graph/. Not a list of all Vulkan limits.
#pragma once

#include <cstdint>
#include <string>

namespace ito {

struct DeviceCaps {
  std::string name = "generic";
  bool is_cpu = false;             // a CPU driver: lanes are SIMD, shared memory buys nothing
  uint32_t subgroup_size = 32;     // lanes that run together (1 to 128)
  uint32_t min_subgroup_size = 0;  // the narrowest that may be chosen; 0: the device does not say
  uint32_t max_workgroup_invocations = 128;
  uint32_t max_workgroup_size_x = 128;
  uint32_t shared_memory_bytes = 16384;
  uint32_t max_groups_x = 65535;
  uint32_t max_groups_y = 65535;
  uint32_t compute_units = 0;  // 0: unknown
  // Bytes of the largest piece of device memory; no tensor is larger.
  uint64_t max_allocation_bytes = UINT64_MAX;
  bool subgroup_arithmetic = false;
  bool shader_float16 = false;
  bool storage_16bit = false;
  bool shader_bfloat16 = false;
  bool cooperative_matrix = false;

  bool operator==(const DeviceCaps&) const = default;
};

}  // namespace ito
