#include "runtime/kernel_statistics.h"

#include <utility>

namespace ito {

std::vector<vk::PipelineRequest> pipeline_requests(const Plan& plan) {
  std::vector<vk::PipelineRequest> requests;
  for (const Kernel& kernel : plan.kernels)
    requests.push_back({kernel.name, kernel.glsl, kernel.local_size, kernel.required_subgroup_size,
                        kernel.uses_cooperative_matrix, kernel.uses_float16,
                        kernel.uses_16bit_storage});
  return requests;
}

Result<std::vector<KernelStatistics>> kernel_statistics(vk::Device& device, const Plan& plan) {
  ITO_ASSIGN(const auto reports, device.pipelines().report(pipeline_requests(plan)));
  std::vector<KernelStatistics> kernels(plan.kernels.size());
  for (size_t i = 0; i < kernels.size(); ++i) {
    kernels[i].name = plan.kernels[i].name;
    kernels[i].executable = reports[i].widest();
    kernels[i].main_loop = vk::main_loop(kernels[i].executable.code);
  }
  for (const KernelCall& call : plan.calls) {
    const Kernel& kernel = plan.kernels[call.kernel];
    int64_t invocations = 1;
    for (size_t axis = 0; axis < 3; ++axis)
      invocations *= int64_t{call.groups[axis]} * kernel.local_size[axis];
    ++kernels[call.kernel].calls;
    if (invocations < kNarrowCall) ++kernels[call.kernel].narrow;
  }
  return kernels;
}

std::optional<double> total_spills(const std::vector<KernelStatistics>& kernels) {
  std::optional<double> total;
  for (const KernelStatistics& kernel : kernels)
    if (const auto spills = kernel.executable.spills()) total = total.value_or(0) + *spills;
  return total;
}

}  // namespace ito
