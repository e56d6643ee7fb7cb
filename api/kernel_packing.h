// Kernels of plans, compiled into a pack (base/kernel_pack.h): what `ito pack` does for each form
// of device. No device is needed. Not for the plans (api/sampling_job.h, api/forward_job.h).
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/device_caps.h"
#include "base/kernel_pack.h"
#include "base/result.h"
#include "graph/plan.h"

namespace ito {

// Told how many of the kernels that are compiled are done, from any thread, first with 0; false: no
// more are begun.
using PackingProgress = std::function<bool(size_t done, size_t total)>;

// Adds the kernels of plans for `form` that the pack does not have, compiled as a device of that
// form compiles them; gives how many. `threads`: 0: one for each processor. Errors: of the first
// kernel that does not compile; kInterrupted where `progress` said so.
Result<size_t> add_kernels(KernelPack& pack, std::span<const Plan> plans, const DeviceCaps& form,
                           const PackingProgress& progress = {}, uint32_t threads = 0);

}  // namespace ito
