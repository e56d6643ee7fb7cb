// DivergenceWatch: looks at the words of diffusion/divergence_words.h while a loop is replayed,
// without waiting for the device, and once at its end. Not for ODEs, whose solver has states of its
// own (api/ode_solver.h).
#pragma once

#include <optional>
#include <string>

#include "runtime/executor.h"

namespace ito {

// One run of a loop. `executor` must outlive it.
class DivergenceWatch {
 public:
  DivergenceWatch(Executor& executor, std::string method)
      : executor_(executor), method_(std::move(method)) {}

  // Before the first step: nothing has gone wrong.
  Status start();
  // When a step was submitted: an error if an earlier look has come back with bad news; asks for
  // the next one. Does not wait.
  Status look();
  // After the last step. Waits for it. An error if any step went wrong.
  Status finish();

 private:
  Executor& executor_;
  std::string method_;
  std::optional<vk::ReadTicket> ticket_;
};

}  // namespace ito
