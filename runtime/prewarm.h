// make_kernels: the pipelines of several plans at once, so that who is told of the progress knows
// their number from the start. Executors made of the plans while the result lives compile nothing.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "graph/plan.h"
#include "runtime/vk/device.h"

namespace ito {

// Errors: as vk::PipelineStore::get.
Result<std::vector<std::shared_ptr<const vk::Pipeline>>> make_kernels(
    vk::Device& device, std::span<const Plan* const> plans);

}  // namespace ito
