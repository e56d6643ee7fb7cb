// DeviceCaps: everything compile() may know of a device, as a plain value, so that each of its
// choices can be made and tested without one. Filled by runtime/vk from a real device, read by
// graph/. Not a list of all Vulkan limits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ito {

// What the elements of a cooperative matrix are.
enum class MatrixElement : uint8_t {
  kF16,
  kF32,
  kF64,
  kS8,
  kS16,
  kS32,
  kS64,
  kU8,
  kU16,
  kU32,
  kU64,
  kOther,  // bfloat16 among them: the headers that Ito is built with do not know it
};

// Whose invocations hold a cooperative matrix together.
enum class MatrixScope : uint8_t { kSubgroup, kWorkgroup, kOther };

// A product of cooperative matrices that a device can do (a row of the driver's table,
// VkCooperativeMatrixPropertiesKHR): result [m, n] = a [m, k] x b [k, n] + c [m, n].
struct MatrixShape {
  uint32_t m = 0, n = 0, k = 0;
  MatrixElement a = MatrixElement::kOther, b = MatrixElement::kOther;
  MatrixElement c = MatrixElement::kOther, result = MatrixElement::kOther;
  bool saturating = false;  // sums of whole numbers stop at the ends of their range
  MatrixScope scope = MatrixScope::kSubgroup;

  bool operator==(const MatrixShape&) const = default;
};

struct DeviceCaps {
  std::string name = "generic";
  bool is_cpu = false;          // a CPU driver: lanes are SIMD, shared memory buys nothing
  uint32_t subgroup_size = 32;  // lanes that run together (1 to 128)
  // The narrowest and the widest that there are; 0: the device does not say.
  uint32_t min_subgroup_size = 0, max_subgroup_size = 0;
  bool required_subgroup_size = false;  // a kernel may choose among them, and have them full
  uint32_t max_workgroup_invocations = 128;
  uint32_t max_workgroup_size_x = 128;
  uint32_t shared_memory_bytes = 16384;
  uint32_t max_groups_x = 65535;
  uint32_t max_groups_y = 65535;
  // What works side by side, each on workgroups of its own: the cores of a CPU; AMD's compute
  // units, NVIDIA's streaming multiprocessors, ARM's shader cores. 0: unknown (Intel's driver says
  // nothing of them).
  uint32_t compute_units = 0;
  // Bytes of the largest piece of device memory; no tensor is larger.
  uint64_t max_allocation_bytes = UINT64_MAX;
  // Bytes of device memory that there are for everything together.
  uint64_t memory_bytes = UINT64_MAX;
  bool subgroup_arithmetic = false;
  bool shader_float16 = false;  // arithmetic with 16-bit floats in shaders
  bool storage_16bit = false;   // loads and stores of 16 bits
  // Matrices held by a subgroup together, and the products that there are of them.
  bool cooperative_matrix = false;
  std::vector<MatrixShape> matrix_shapes = {};

  bool operator==(const DeviceCaps&) const = default;
};

// "f16", "s32", ...; "subgroup", ...
std::string_view matrix_element_name(MatrixElement element);
std::string_view matrix_scope_name(MatrixScope scope);

}  // namespace ito
