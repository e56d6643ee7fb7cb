// OdeSolver: runs the adaptive programs of diffusion/ode.h: replays attempts until every image of
// the batch has arrived. The host only submits and looks, without waiting, at a count that comes
// back behind each attempt. Not for what is integrated.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "diffusion/ode.h"
#include "runtime/executor.h"

namespace ito {

struct OdeReport {
  std::vector<uint32_t> evaluations, rejections;  // per image
  int64_t attempts = 0;                           // of the image that took the most
};

class OdeSolver {
 public:
  // Errors: options out of range; of compilation and of the device.
  static Result<std::unique_ptr<OdeSolver>> create(vk::Device& device, const OdeSystem& system,
                                                   const OdeOptions& options,
                                                   const ExecutorOptions& executor = {});

  // Gives both programs memory for an external: weights, inputs, or states of other programs.
  // Before the first solve().
  Status bind(const std::string& name, DeviceTensor tensor);
  // The memory of an external, to be bound elsewhere.
  template <typename T, typename Name>
  Result<DeviceTensor> tensor(const Port<T, Name>& port) {
    return start_->tensor(port);
  }
  // Takes a copy for the next solve(); does not wait.
  template <typename T, typename Name>
  Status write(const Port<T, Name>& port, const std::vector<T>& values) {
    return start_->enqueue_write(port, values);
  }
  // Waits.
  template <typename T, typename Name>
  Result<std::vector<T>> read(const Port<T, Name>& port) {
    return step_->read(port);
  }
  // The value of a component, rest added. Waits.
  Result<std::vector<double>> value(const std::string& component);

  // Integrates the states "y.NAME" in place from time `from` to time `to`, which may be earlier.
  // after_attempt (may be empty) is called when an attempt was submitted; false stops with
  // kInterrupted. Waits once, at the end. Errors: values that are not finite, a tolerance that
  // cannot be met, more than max_evaluations evaluations of f in an image; each names image,
  // attempt and time.
  Result<OdeReport> solve(double from, double to, int64_t max_evaluations,
                          const std::function<bool()>& after_attempt = {});

  int64_t images() const { return images_; }
  const Plan& plan() const { return step_->plan(); }  // of an attempt

 private:
  OdeSolver() = default;
  Status share();
  Status run_attempts(int64_t most, const std::function<bool()>& after_attempt);
  Result<OdeReport> report(int64_t max_evaluations);

  std::string name_;
  std::vector<OdeComponent> components_;
  int64_t images_ = 0;
  std::set<std::string> bound_;
  std::unique_ptr<Executor> start_, step_;
  bool shared_ = false;
};

}  // namespace ito
