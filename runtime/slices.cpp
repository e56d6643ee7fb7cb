#include "runtime/slices.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace ito {
namespace {

uint64_t total_groups(const std::array<uint32_t, 3>& groups) {
  return uint64_t{groups[0]} * groups[1] * groups[2];
}

size_t longest_axis(const std::array<uint32_t, 3>& groups) {
  return static_cast<size_t>(std::max_element(groups.begin(), groups.end()) - groups.begin());
}

}  // namespace

std::vector<double> guess_call_ms(const Plan& plan, const DeviceCaps& caps) {
  const double flops_per_ms = caps.is_cpu ? 5e6 : 1e8;  // 5 and 100 GFLOP/s
  const double bytes_per_ms = caps.is_cpu ? 2e6 : 1e7;  // 2 and 10 GB/s
  constexpr double kDispatchMs = 0.005;
  std::vector<double> call_ms;
  call_ms.reserve(plan.calls.size());
  for (const KernelCall& call : plan.calls)
    call_ms.push_back(
        kDispatchMs +
        std::max(static_cast<double>(call.flops) / flops_per_ms,
                 static_cast<double>(call.bytes_read + call.bytes_written) / bytes_per_ms));
  return call_ms;
}

std::vector<Slice> slice_calls(const Plan& plan, std::span<const double> call_ms, double limit_ms,
                               size_t first, size_t end) {
  CHECK(call_ms.size() == plan.calls.size(), "one estimate per call is needed");
  CHECK(limit_ms > 0, "the time limit of a submission must be positive");
  std::vector<Slice> slices;
  auto add = [&](const Dispatch& dispatch, double ms) {
    if (slices.empty() ||
        (slices.back().estimated_ms + ms > limit_ms && !slices.back().dispatches.empty()))
      slices.emplace_back();
    slices.back().dispatches.push_back(dispatch);
    slices.back().estimated_ms += ms;
  };
  for (auto i = static_cast<uint32_t>(first); i < std::min(end, plan.calls.size()); ++i) {
    const KernelCall& call = plan.calls[i];
    const size_t axis = longest_axis(call.groups);
    const uint32_t extent = call.groups[axis];
    const double wanted = std::ceil(call_ms[i] / limit_ms);
    const uint32_t parts =
        static_cast<uint32_t>(std::clamp(wanted, 1.0, static_cast<double>(std::max(1u, extent))));
    for (uint32_t part = 0; part < parts; ++part) {
      const auto from = static_cast<uint32_t>(uint64_t{extent} * part / parts);
      const auto to = static_cast<uint32_t>(uint64_t{extent} * (part + 1) / parts);
      Dispatch dispatch{i, {0, 0, 0}, call.groups, call.barrier_before && part == 0};
      dispatch.base[axis] = from;
      dispatch.groups[axis] = to - from;
      add(dispatch, call_ms[i] / parts);
    }
  }
  return slices;
}

std::optional<Dispatch> next_dispatch(const Plan& plan, std::span<const double> call_ms, size_t end,
                                      CallCursor& cursor, SliceBudget& budget, bool must) {
  if (cursor.call >= std::min(end, plan.calls.size())) return std::nullopt;
  if (!must && budget.dispatches == 0) return std::nullopt;
  const KernelCall& call = plan.calls[cursor.call];
  const size_t axis = longest_axis(call.groups);
  const uint32_t extent = call.groups[axis];
  const uint32_t left = extent - cursor.done;
  const double layer_ms = call_ms[cursor.call] / extent;
  const double fitting = layer_ms > 0 ? std::floor(budget.ms / layer_ms) : left;
  const auto layers = static_cast<uint32_t>(std::clamp(fitting, must ? 1.0 : 0.0, double(left)));
  if (layers == 0) return std::nullopt;
  Dispatch dispatch{static_cast<uint32_t>(cursor.call),
                    {0, 0, 0},
                    call.groups,
                    call.barrier_before && cursor.done == 0};
  dispatch.base[axis] = cursor.done;
  dispatch.groups[axis] = layers;
  budget.ms -= layers * layer_ms;
  budget.spent_ms += layers * layer_ms;
  if (budget.dispatches > 0) --budget.dispatches;
  if (layers == left)
    cursor = {cursor.call + 1, 0};
  else
    cursor.done += layers;
  return dispatch;
}

void learn_call_ms(std::span<const Slice> slices, std::span<const double> measured_ms,
                   const Plan& plan, std::vector<double>& call_ms) {
  CHECK(slices.size() == measured_ms.size(), "one measured time per slice is needed");
  std::vector<double> learned = call_ms;
  for (const Slice& slice : slices)
    for (const Dispatch& dispatch : slice.dispatches) learned[dispatch.call] = 0;
  for (size_t s = 0; s < slices.size(); ++s) {
    const double factor = measured_ms[s] / std::max(slices[s].estimated_ms, 1e-9);
    for (const Dispatch& dispatch : slices[s].dispatches) {
      const double share = static_cast<double>(total_groups(dispatch.groups)) /
                           static_cast<double>(std::max<uint64_t>(
                               1, total_groups(plan.calls[dispatch.call].groups)));
      learned[dispatch.call] += call_ms[dispatch.call] * share * factor;
    }
  }
  call_ms = std::move(learned);
}

}  // namespace ito
