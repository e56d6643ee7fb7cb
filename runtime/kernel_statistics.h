// KernelStatistics: what the driver made of each kernel of a plan, without running any: registers,
// spills, and what the main loop of the machine code consists of. Works on a device that can only
// compile (vk::DeviceOptions::compile_only). Not for measured times (profile.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/plan.h"
#include "runtime/vk/device.h"
#include "runtime/vk/machine_code.h"
#include "runtime/vk/pipeline_report.h"

namespace ito {

// How the executor asks for the plan's kernels. They point into the plan.
std::vector<vk::PipelineRequest> pipeline_requests(const Plan& plan);

struct KernelStatistics {
  std::string name;                   // of the kernel
  int64_t calls = 0;                  // in the plan
  int64_t narrow = 0;                 // of them with fewer invocations than kNarrowCall
  vk::PipelineExecutable executable;  // of the widest subgroup; `code` holds its machine code
  std::optional<vk::MainLoop> main_loop = {};  // nothing where it does not multiply and add
};

// Calls of fewer invocations leave most of a large GPU idle (96 units of 256 lanes).
inline constexpr int64_t kNarrowCall = 24576;

// One entry a kernel, as in the plan. Errors: as vk::PipelineStore::report.
Result<std::vector<KernelStatistics>> kernel_statistics(vk::Device& device, const Plan& plan);

// All spills of all kernels, each kernel once; nothing where the driver does not count them.
std::optional<double> total_spills(const std::vector<KernelStatistics>& kernels);

}  // namespace ito
