// Durations on the host. Not for: times of day, nor how long a device took.
#pragma once

#include <chrono>

namespace ito {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace ito
