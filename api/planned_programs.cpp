#include "api/planned_programs.h"

#include <utility>

#include "base/check.h"
#include "graph/compile.h"

namespace ito {

Result<size_t> PlannedPrograms::add(const Program& program) {
  ITO_ASSIGN(Plan plan, compile(program, caps_));
  return add(std::move(plan));
}

size_t PlannedPrograms::add(Plan plan) {
  plans_.push_back(std::move(plan));
  return plans_.size() - 1;
}

Status PlannedPrograms::make_kernels() {
  CHECK(device_ != nullptr, "kernels are made on a device");
  std::vector<const Plan*> all;
  for (const Plan& plan : plans_) all.push_back(&plan);
  ITO_ASSIGN(kernels_, ito::make_kernels(*device_, all, origin_));
  return {};
}

Result<std::unique_ptr<Executor>> PlannedPrograms::executor(size_t place) {
  return Executor::create(*device_, std::move(plans_[place]));
}

}  // namespace ito
