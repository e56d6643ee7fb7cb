#include "api/ode_solver.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"
#include "graph/compile.h"

namespace ito {

using namespace ode_ports;

Result<std::unique_ptr<OdeSolver>> OdeSolver::create(vk::Device& device, const OdeSystem& system,
                                                     const OdeOptions& options,
                                                     const ExecutorOptions& executor) {
  ITO_TRY(check_ode_options(options));
  std::unique_ptr<OdeSolver> solver(new OdeSolver);
  solver->name_ = system.name;
  solver->components_ = system.components;
  solver->images_ = system.images();
  ITO_ASSIGN(Plan start, compile(ode_start_program(system, options), device.caps()));
  ITO_ASSIGN(solver->start_, Executor::create(device, std::move(start), executor));
  ITO_ASSIGN(Plan step, compile(ode_step_program(system, options), device.caps()));
  ITO_ASSIGN(solver->step_, Executor::create(device, std::move(step), executor));
  return solver;
}

Status OdeSolver::bind(const std::string& name, DeviceTensor tensor) {
  bound_.insert(name);
  if (step_->plan().find_external(name) >= 0) ITO_TRY(step_->bind(name, tensor));
  return start_->bind(name, std::move(tensor));
}

// One memory for what both programs know.
Status OdeSolver::share() {
  if (shared_) return {};
  for (const External& external : step_->plan().externals) {
    if (bound_.count(external.name) != 0) continue;
    if (start_->plan().find_external(external.name) < 0) continue;
    ITO_ASSIGN(DeviceTensor tensor, start_->tensor(external.name));
    ITO_TRY(step_->bind(external.name, std::move(tensor)));
  }
  ITO_TRY(start_->prepare());
  ITO_TRY(step_->prepare());
  ITO_TRY(step_->reserve_reads(kProgress));
  shared_ = true;
  return {};
}

Result<std::vector<double>> OdeSolver::value(const std::string& component) {
  ITO_ASSIGN(const std::vector<float> high, step_->read(kY[component]));
  std::vector<double> sum(high.begin(), high.end());
  if (!step_->has(kRest[component])) return sum;
  ITO_ASSIGN(const std::vector<float> rest, step_->read(kRest[component]));
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += rest[i];
  return sum;
}

Status OdeSolver::run_attempts(int64_t most, const std::function<bool()>& after_attempt) {
  ITO_TRY(start_->run());
  std::deque<vk::ReadTicket> tickets;  // of "progress", oldest first
  for (int64_t attempts = 0; attempts < most; ++attempts) {
    ITO_TRY(step_->run());
    ITO_ASSIGN(vk::ReadTicket ticket, step_->enqueue_read(kProgress));
    tickets.push_back(std::move(ticket));
    if (after_attempt && !after_attempt()) return interrupted("the integration was stopped");
    while (!tickets.empty()) {
      ITO_ASSIGN(const bool ready, tickets.front().ready());
      if (!ready) break;
      std::vector<float> progress(2);
      ITO_TRY(tickets.front().read(writable_bytes_of(progress)));
      tickets.pop_front();
      if (progress[0] == 0 || progress[1] > 0) return {};
    }
  }
  return {};
}

Result<OdeReport> OdeSolver::report(int64_t max_evaluations) {
  OdeReport report;
  ITO_ASSIGN(const std::vector<uint32_t> status, step_->read(kStatus));
  ITO_ASSIGN(report.evaluations, step_->read(kEvaluations));
  ITO_ASSIGN(report.rejections, step_->read(kRejections));
  for (size_t i = 0; i < status.size(); ++i) {
    report.attempts = std::max(
        report.attempts,
        (static_cast<int64_t>(report.evaluations[i]) - kOdeStartEvaluations) / kOdeStepEvaluations);
  }
  for (const OdeStatus failure :
       {OdeStatus::kNotFinite, OdeStatus::kStepTooSmall, OdeStatus::kRunning}) {
    const auto found = std::find(status.begin(), status.end(), static_cast<uint32_t>(failure));
    if (found == status.end()) continue;
    const size_t i = static_cast<size_t>(found - status.begin());
    ITO_ASSIGN(const std::vector<float> times, step_->read(kTime));
    ITO_ASSIGN(const std::vector<float> rests, step_->read(kTimeRest));
    const double t = static_cast<double>(times[i]) + rests[i];
    ITO_ASSIGN(const std::vector<uint32_t> failed_at, step_->read(kFailedAt));
    if (failure == OdeStatus::kNotFinite)
      return diverged("{} ODE: step {} of image {} of the batch is not finite, at time {}", name_,
                      failed_at[i], i, t);
    if (failure == OdeStatus::kStepTooSmall)
      return invalid_argument(
          "{} ODE: step {} of image {} of the batch cannot meet the tolerance in float32, at time "
          "{}; expected larger rtol or atol",
          name_, failed_at[i], i, t);
    return invalid_argument(
        "{} ODE: image {} of the batch has only come to time {} after {} evaluations, at most {} "
        "are allowed",
        name_, i, t, report.evaluations[i], max_evaluations);
  }
  return report;
}

Result<OdeReport> OdeSolver::solve(double from, double to, int64_t max_evaluations,
                                   const std::function<bool()>& after_attempt) {
  if (max_evaluations < kOdeStartEvaluations + kOdeStepEvaluations)
    return invalid_argument("at most {} evaluations are allowed, expected at least {}",
                            max_evaluations, kOdeStartEvaluations + kOdeStepEvaluations);
  ITO_TRY(share());
  const size_t n = static_cast<size_t>(images_);
  ITO_TRY(write(kTime, std::vector<float>(n, static_cast<float>(from))));
  ITO_TRY(write(kEnd, std::vector<float>(n, static_cast<float>(to))));
  ITO_TRY(
      run_attempts((max_evaluations - kOdeStartEvaluations) / kOdeStepEvaluations, after_attempt));
  return report(max_evaluations);
}

}  // namespace ito
