#include "runtime/prewarm.h"

#include "runtime/kernel_statistics.h"

namespace ito {

Result<std::vector<std::shared_ptr<const vk::Pipeline>>> make_kernels(
    vk::Device& device, std::span<const Plan* const> plans) {
  std::vector<vk::PipelineRequest> requests;
  for (const Plan* plan : plans)
    for (vk::PipelineRequest& request : pipeline_requests(*plan)) requests.push_back(request);
  return device.pipelines().get(requests);
}

}  // namespace ito
