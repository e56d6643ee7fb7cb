// Slices: how the calls of a plan are cut into submissions that are bounded in time, long
// dispatches among them cut into parts. Decides from numbers only, without a device; recording is
// the executor's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/device_caps.h"
#include "graph/plan.h"

namespace ito {

// Workgroups [base, base + groups) of one call.
struct Dispatch {
  uint32_t call = 0;
  std::array<uint32_t, 3> base = {0, 0, 0};
  std::array<uint32_t, 3> groups = {1, 1, 1};
  bool barrier_before = false;

  bool operator==(const Dispatch&) const = default;
};

// What one submission holds.
struct Slice {
  std::vector<Dispatch> dispatches;
  double estimated_ms = 0;
};

// A first, pessimistic guess of how long each call takes, before anything was measured: from its
// FLOPs and bytes at a tenth or so of what such devices reach.
std::vector<double> guess_call_ms(const Plan& plan, const DeviceCaps& caps);

// Cuts calls [first, end) so that no slice takes longer than `limit_ms` by the estimates `call_ms`
// (one per call of the plan). A call longer than that is split along its longest group axis, down
// to single layers of groups.
std::vector<Slice> slice_calls(const Plan& plan, std::span<const double> call_ms, double limit_ms,
                               size_t first = 0, size_t end = SIZE_MAX);

// What one piece of a recording may hold.
struct SliceBudget {
  double ms = 0;            // by the estimates
  uint32_t dispatches = 0;  // at most
  double spent_ms = 0;      // by the estimates, so far
};

// Where a recording in pieces stands among the calls of a plan: before call `call`, of which `done`
// groups along its longest axis are recorded already.
struct CallCursor {
  size_t call = 0;
  uint32_t done = 0;
};

// The dispatch at the cursor, before call `end`: the rest of a call where `budget` has room for it,
// else as much of it as fits. With `must` at least one layer of groups, whatever it takes. Moves
// the cursor behind it and takes it from the budget. Nothing: no call is left, or no room.
std::optional<Dispatch> next_dispatch(const Plan& plan, std::span<const double> call_ms, size_t end,
                                      CallCursor& cursor, SliceBudget& budget, bool must);

// Scales the estimates of the calls in each slice so that they sum to the slice's measured time;
// `measured_ms` has one entry per slice. Those of other calls stay.
void learn_call_ms(std::span<const Slice> slices, std::span<const double> measured_ms,
                   const Plan& plan, std::vector<double>& call_ms);

}  // namespace ito
