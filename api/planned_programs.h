// PlannedPrograms: several programs on their way to a device. First all are compiled into plans,
// then the kernels of all are made at once, so that who is told of the progress knows their number
// from the start; then each becomes an executor. Or they stay plans, for a form of device that need
// not be there: what is packed ahead of time (api/kernel_packing.h). Not for what is run of them
// (api/job.h, api/training_programs.h).
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/device_caps.h"
#include "graph/program.h"
#include "runtime/executor.h"
#include "runtime/prewarm.h"

namespace ito {

class PlannedPrograms {
 public:
  // `origin`: for errors.
  explicit PlannedPrograms(vk::Device& device, KernelOrigin origin = {})
      : device_(&device), caps_(device.caps()), origin_(std::move(origin)) {}
  // Without a device: only plans.
  explicit PlannedPrograms(const DeviceCaps& caps) : caps_(caps) {}

  const DeviceCaps& caps() const { return caps_; }
  // Gives the place of the program's plan. Errors: as of compile().
  Result<size_t> add(const Program& program);
  size_t add(Plan plan);
  // Until executor() takes it.
  const Plan& plan(size_t place) const { return plans_[place]; }
  // All, in order. Ends the object's use.
  std::vector<Plan> take_plans() { return std::move(plans_); }
  // Of all plans. Errors: as of runtime/prewarm.h.
  Status make_kernels();
  // After make_kernels(), once for each place. Errors: as of Executor::create.
  Result<std::unique_ptr<Executor>> executor(size_t place);

 private:
  vk::Device* device_ = nullptr;
  DeviceCaps caps_;
  KernelOrigin origin_;
  std::vector<Plan> plans_;
  std::vector<std::shared_ptr<const vk::Pipeline>> kernels_;
};

}  // namespace ito
