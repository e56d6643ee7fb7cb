// make_kernels: the pipelines of several plans at once, so that who is told of the progress knows
// their number from the start. Executors made of the plans while the result lives compile nothing.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/plan.h"
#include "runtime/vk/device.h"

namespace ito {

// What the kernels of a job are for, as an error says it where some are missing.
struct KernelOrigin {
  std::string model;  // the folder
  std::string job;    // as `ito pack --job` takes it
};

// Errors: as vk::PipelineStore::get; kUnsupported, with the command that would pack them, where the
// library has no compiler and the device's packs lack some.
Result<std::vector<std::shared_ptr<const vk::Pipeline>>> make_kernels(
    vk::Device& device, std::span<const Plan* const> plans, const KernelOrigin& origin);

}  // namespace ito
