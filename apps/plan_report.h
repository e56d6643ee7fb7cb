// A compiled plan for readers: every kernel call with what it computes and moves, and the totals.
// Not for measured times (runtime/profile.h).
#pragma once

#include <string>

#include "graph/plan.h"
#include "io/json.h"

namespace ito::apps {

// Of a replay that finds its parameters as they were; what the prologue does is counted by itself.
struct PlanTotals {
  uint64_t flops = 0, bytes_read = 0, bytes_written = 0;
  uint64_t prologue_flops = 0, prologue_bytes = 0;
  uint64_t external_bytes = 0;
  uint64_t bytes() const { return bytes_read + bytes_written; }
  // Of moved bytes to Plan::ideal_bytes.
  double ratio(const Plan& plan) const;
  // Device memory: arena, constants and externals.
  uint64_t memory(const Plan& plan) const;
};
PlanTotals plan_totals(const Plan& plan);

std::string plan_text(const Plan& plan);
Json plan_json(const Plan& plan);

}  // namespace ito::apps
