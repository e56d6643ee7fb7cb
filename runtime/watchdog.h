// Watchdogs: replays of a plan call by call, with a look at memory after each, to name the first
// call that goes wrong. Slow (a wait and a copy per call); for debugging and tests, not for the
// loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/executor.h"

namespace ito {

// The first value that is not finite.
struct NonFinite {
  size_t call = 0;       // index into Plan::calls
  size_t argument = 0;   // of that call
  uint64_t element = 0;  // within the argument's range
  double value = 0;
  std::string text;  // one sentence naming the call
};

// Runs one replay, and after each call looks for NaN and infinity in what it wrote (ranges of float
// dtypes). Stops at the first; the calls after it are then not run. Nothing: all finite.
Result<std::optional<NonFinite>> find_non_finite(Executor& executor);

// The first byte that changed though no argument of the call declares to write it.
struct StrayWrite {
  size_t call = 0;
  std::string text;  // one sentence naming the call, the memory and the byte
};

// Runs one replay, and after each call compares all memory of the plan with what it was before.
Result<std::optional<StrayWrite>> find_stray_write(Executor& executor);

}  // namespace ito
