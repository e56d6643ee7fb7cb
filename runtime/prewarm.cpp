#include "runtime/prewarm.h"

#include "base/error.h"
#include "runtime/kernel_statistics.h"

namespace ito {

Result<std::vector<std::shared_ptr<const vk::Pipeline>>> make_kernels(
    vk::Device& device, std::span<const Plan* const> plans, const KernelOrigin& origin) {
  std::vector<vk::PipelineRequest> requests;
  for (const Plan* plan : plans)
    for (vk::PipelineRequest& request : pipeline_requests(*plan)) requests.push_back(request);
  if (const auto missing = device.pipelines().missing(requests))
    return unsupported(
        "this library has no compiler, and the context's packs lack kernels (the first is '{}') of "
        "the job \"{}\" of {} for the form of device \"{}\"; `ito pack {} --job \"{}\" --form {} "
        "--out "
        "FILE.itopack` makes a pack that has them",
        *missing, origin.job, origin.model, device.form(), origin.model, origin.job, device.form());
  return device.pipelines().get(requests);
}

}  // namespace ito
