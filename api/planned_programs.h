// PlannedPrograms: several programs on their way to a device. First all are compiled into plans,
// then the kernels of all are made at once, so that who is told of the progress knows their number
// from the start; then each becomes an executor. Not for what is run of them (api/job.h,
// api/training_programs.h).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "graph/program.h"
#include "runtime/executor.h"

namespace ito {

class PlannedPrograms {
 public:
  explicit PlannedPrograms(vk::Device& device) : device_(device) {}

  vk::Device& device() const { return device_; }
  // Gives the place of the program's plan. Errors: as of compile().
  Result<size_t> add(const Program& program);
  size_t add(Plan plan);
  // Until executor() takes it.
  const Plan& plan(size_t place) const { return plans_[place]; }
  // Of all plans. Errors: as of vk::PipelineStore::get.
  Status make_kernels();
  // After make_kernels(), once for each place. Errors: as of Executor::create.
  Result<std::unique_ptr<Executor>> executor(size_t place);

 private:
  vk::Device& device_;
  std::vector<Plan> plans_;
  std::vector<std::shared_ptr<const vk::Pipeline>> kernels_;
};

}  // namespace ito
