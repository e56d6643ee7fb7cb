#include "base/device_forms.h"

#include <algorithm>

namespace ito {
namespace {

// DeviceCaps{} is what Vulkan 1.2 guarantees, but for the largest allocation: a gigabyte, of which
// runtime/vk keeps a page.
DeviceCaps any_gpu() {
  DeviceCaps caps;
  caps.name = kAnyForm;
  caps.max_allocation_bytes = (uint64_t{1} << 30) - 4096;
  return caps;
}

// What GPUs of computers have had for ten years: Direct3D 11's workgroups, 32 KiB of shared memory.
DeviceCaps half_gpu() {
  DeviceCaps caps = any_gpu();
  caps.name = "gpu-half";
  caps.max_workgroup_invocations = caps.max_workgroup_size_x = 256;
  caps.shared_memory_bytes = 32768;
  caps.shader_float16 = caps.storage_16bit = true;
  return caps;
}

// NVIDIA's and AMD's table of products has this one in it; both have subgroups of 32.
DeviceCaps matrix_gpu() {
  DeviceCaps caps = half_gpu();
  caps.name = "gpu-matrix";
  caps.min_subgroup_size = caps.max_subgroup_size = caps.subgroup_size = 32;
  caps.required_subgroup_size = true;
  caps.cooperative_matrix = true;
  caps.matrix_shapes = {{.m = 16,
                         .n = 16,
                         .k = 16,
                         .a = MatrixElement::kF16,
                         .b = MatrixElement::kF16,
                         .c = MatrixElement::kF32,
                         .result = MatrixElement::kF32}};
  return caps;
}

constexpr DeviceFormRow kForms[] = {
    {{kOwnForm, "the device that --device names, as it is", "", ""}, nullptr},
    {{kAnyForm, "any GPU: what Vulkan 1.2 guarantees, no 16-bit floats", "", ""}, any_gpu},
    {{"gpu-half", "256 invocations and 32 KiB of shared memory a workgroup, 16-bit floats", "", ""},
     half_gpu},
    {{"gpu-matrix",
      "the same and matrix units: f16 16x16x16 into f32, by subgroups of 32 lanes that a kernel "
      "may "
      "ask for",
      "", ""},
     matrix_gpu},
};

// Of kernels that count on how many lanes a subgroup has: those of CPU drivers, and of matrix
// units.
bool has_lanes_of(const DeviceCaps& device, const DeviceCaps& form) {
  if (!form.is_cpu && form.required_subgroup_size)
    return device.required_subgroup_size && device.min_subgroup_size <= form.min_subgroup_size &&
           form.min_subgroup_size <= device.max_subgroup_size;
  return device.subgroup_size == form.subgroup_size;
}

}  // namespace

std::span<const DeviceFormRow> device_form_rows() { return kForms; }

bool is_same_form(const DeviceCaps& a, const DeviceCaps& b) {
  DeviceCaps same = b;
  same.name = a.name;
  same.memory_bytes = a.memory_bytes;
  return a == same;
}

bool can_run_form(const DeviceCaps& device, const DeviceCaps& form) {
  if (form.is_cpu && !device.is_cpu) return false;
  if ((form.is_cpu || form.cooperative_matrix) && !has_lanes_of(device, form)) return false;
  const auto has_product = [&](const MatrixShape& shape) {
    return std::find(device.matrix_shapes.begin(), device.matrix_shapes.end(), shape) !=
           device.matrix_shapes.end();
  };
  return device.max_workgroup_invocations >= form.max_workgroup_invocations &&
         device.max_workgroup_size_x >= form.max_workgroup_size_x &&
         device.shared_memory_bytes >= form.shared_memory_bytes &&
         device.max_groups_x >= form.max_groups_x && device.max_groups_y >= form.max_groups_y &&
         device.max_allocation_bytes >= form.max_allocation_bytes &&
         device.subgroup_arithmetic >= form.subgroup_arithmetic &&
         device.shader_float16 >= form.shader_float16 &&
         device.storage_16bit >= form.storage_16bit &&
         device.cooperative_matrix >= form.cooperative_matrix &&
         std::all_of(form.matrix_shapes.begin(), form.matrix_shapes.end(), has_product);
}

Status check_form(const DeviceCaps& form) {
  const DeviceCaps least;
  const auto at_least = [&](const char* what, uint64_t value, uint64_t bound) -> Status {
    if (value >= bound) return {};
    return invalid_argument("form '{}': {} is {}, expected at least {}", form.name, what, value,
                            bound);
  };
  const auto lanes = [&](const char* what, uint32_t value, uint32_t from) -> Status {
    if (value >= from && value <= 128) return {};
    return invalid_argument("form '{}': {} is {}, expected {} to 128", form.name, what, value,
                            from);
  };
  constexpr uint64_t kLeastAllocation = uint64_t{1} << 20;
  constexpr uint32_t kMostUnits = 1u << 20;
  ITO_TRY(lanes("subgroup_size", form.subgroup_size, 1));
  ITO_TRY(lanes("min_subgroup_size", form.min_subgroup_size, 0));
  ITO_TRY(lanes("max_subgroup_size", form.max_subgroup_size, 0));
  ITO_TRY(at_least("max_workgroup_invocations", form.max_workgroup_invocations,
                   least.max_workgroup_invocations));
  ITO_TRY(at_least("max_workgroup_size_x", form.max_workgroup_size_x, least.max_workgroup_size_x));
  ITO_TRY(at_least("shared_memory_bytes", form.shared_memory_bytes, least.shared_memory_bytes));
  ITO_TRY(at_least("max_groups_x", form.max_groups_x, least.max_groups_x));
  ITO_TRY(at_least("max_groups_y", form.max_groups_y, least.max_groups_y));
  ITO_TRY(at_least("max_allocation_bytes", form.max_allocation_bytes, kLeastAllocation));
  if (form.compute_units > kMostUnits)
    return invalid_argument("form '{}': compute_units is {}, expected at most {}", form.name,
                            form.compute_units, kMostUnits);
  return {};
}

}  // namespace ito
