// What drivers say of a plan's kernels, for readers: a table, JSON, and one kernel's machine code.
// Not for what a plan computes and moves (plan_report.h).
#pragma once

#include <string>

#include "base/result.h"
#include "io/json.h"
#include "runtime/kernel_statistics.h"

namespace ito::apps {

// A line a kernel, those called most often first, then totals.
std::string statistics_text(const Plan& plan, const std::vector<KernelStatistics>& kernels);

// {device, driver, dispatches, narrow_dispatches, spills, kernels: [{name, calls, spills,
// registers, main_loop_fma_share, ...}]}; null where the driver or the code does not say.
Json statistics_json(const vk::DeviceInfo& device, const Plan& plan,
                     const std::vector<KernelStatistics>& kernels);

// The machine code of the kernel of that name or number. Error kNotFound naming what there is.
Result<std::string> kernel_assembly(const std::vector<KernelStatistics>& kernels,
                                    const std::string& which);

}  // namespace ito::apps
