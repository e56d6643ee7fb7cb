// The one loop that replays a method's program on the device: a step a replay, without a wait until
// the end, and the step named at which what a model gave was not finite. Samplers, toys and checks
// of Langevin dynamics all run by it. Not for ODEs, whose number of steps is decided while they run
// (api/ode_solver.h), nor for what a step does (diffusion/method.h).
#pragma once

#include <functional>
#include <string>

#include "diffusion/method.h"
#include "runtime/executor.h"

namespace ito {

struct Replay {
  int each = 1;  // steps per submission
  // Around the submission of steps; told how many steps of this call lie before and behind it. An
  // error ends the replay and is its result. May be empty.
  std::function<Status(int done)> before = {};
  std::function<Status(int done)> after = {};
};

// Whether a caller's progress lets a loop go on: kInterrupted, saying `what` was stopped, if not.
Status go_on(bool wanted, const char* what);

// The method's states before its first step: step 0, and zeros for what it carries along.
Status reset_states(Executor& executor, const Method& method, const Shape& x);

// Replays `steps` steps of the method called `name` from the executor's present x and states, and
// waits for the last of them. Errors: kDiverged naming the method and the step; the device.
Status replay(Executor& executor, const std::string& name, int steps, const Replay& how = {});

}  // namespace ito
