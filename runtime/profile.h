// Profile: measured durations of a plan's calls, as a table for people and as a trace for Chrome or
// Perfetto. Not for measuring (the executor does) and not for host time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/plan.h"

namespace ito {

// One dispatch of the newest profiled replay.
struct ProfileSpan {
  uint32_t call = 0;
  double start_us = 0;  // from the first dispatch on
  double duration_us = 0;
};

struct CallTime {
  uint64_t runs = 0;  // replays in which it ran: those of the prologue do not in all
  double total_us = 0;
  double min_us = 0;  // of one replay
};

struct Profile {
  std::vector<CallTime> calls;     // one per call of the plan
  std::vector<ProfileSpan> spans;  // of the newest replay, in order
  uint64_t replays = 0;

  // Adds one replay.
  void add_replay(std::vector<ProfileSpan> replay, size_t call_count);
  // Kernels by falling total time: name, calls, mean time per replay, share, GFLOP/s, GB/s.
  std::string kernel_table(const Plan& plan) const;
  // The `count` slowest calls with their labels.
  std::string call_table(const Plan& plan, size_t count) const;
  // The newest replay in the trace-event format (JSON object form).
  std::string trace_json(const Plan& plan) const;
  // Writes trace_json to a file. Errors: kIo with the path.
  Status write_trace(const Plan& plan, const std::string& path) const;
};

}  // namespace ito
