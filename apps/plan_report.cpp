#include "apps/plan_report.h"

#include <fmt/format.h>

#include "apps/command.h"

namespace ito::apps {
namespace {

// "arena+4096:512", "params+0:2749636", "constants+0:16".
std::string range_text(const Plan& plan, const BufferRange& range) {
  std::string name;
  switch (range.space) {
    case BufferSpace::kArena:
      name = "arena";
      break;
    case BufferSpace::kConstant:
      name = "constants";
      break;
    case BufferSpace::kExternal:
      name = plan.externals[range.buffer].name;
      break;
  }
  return fmt::format("{}+{}:{}", name, range.offset, range.size);
}

// The arguments whose bit is set.
std::vector<std::string> ranges(const Plan& plan, const KernelCall& call, uint64_t mask) {
  std::vector<std::string> list;
  for (size_t i = 0; i < call.arguments.size(); ++i)
    if ((mask >> i & 1) != 0) list.push_back(range_text(plan, call.arguments[i]));
  return list;
}

const char* role_name(ExternalRole role) {
  switch (role) {
    case ExternalRole::kInput:
      return "input";
    case ExternalRole::kOutput:
      return "output";
    case ExternalRole::kState:
      return "state";
  }
  return "";
}

}  // namespace

PlanTotals plan_totals(const Plan& plan) {
  PlanTotals totals;
  for (size_t i = 0; i < plan.calls.size(); ++i) {
    const KernelCall& call = plan.calls[i];
    if (i < plan.prologue) {
      totals.prologue_flops += call.flops;
      totals.prologue_bytes += call.bytes_read + call.bytes_written;
      continue;
    }
    totals.flops += call.flops;
    totals.bytes_read += call.bytes_read;
    totals.bytes_written += call.bytes_written;
  }
  for (const External& external : plan.externals) totals.external_bytes += external.size;
  return totals;
}

double PlanTotals::ratio(const Plan& plan) const {
  return plan.ideal_bytes == 0
             ? 0
             : static_cast<double>(bytes()) / static_cast<double>(plan.ideal_bytes);
}

uint64_t PlanTotals::memory(const Plan& plan) const {
  return plan.arena_size + plan.constants.size() + external_bytes;
}

std::string plan_text(const Plan& plan) {
  std::string text = fmt::format("plan {}\n\nexternals\n", plan.name);
  for (const External& e : plan.externals)
    text += fmt::format("  {:<7} {} {}{}  {}\n", role_name(e.role), e.name, dtype_name(e.dtype),
                        e.shape.to_string(), bytes_text(e.size));
  text += "\ncalls, in order; | marks a barrier before the call; places are buffer+offset:bytes\n";
  if (plan.prologue > 0) text += "prologue, which runs when parameters have changed\n";
  for (size_t i = 0; i < plan.calls.size(); ++i) {
    if (i > 0 && i == plan.prologue) text += "every replay\n";
    const KernelCall& call = plan.calls[i];
    text +=
        fmt::format("{:>4}{} {}  groups {}x{}x{}  {:.3f} MFLOP  read {}  written {}  {}\n", i,
                    call.barrier_before ? '|' : ' ', plan.kernels[call.kernel].name, call.groups[0],
                    call.groups[1], call.groups[2], static_cast<double>(call.flops) / 1e6,
                    bytes_text(call.bytes_read), bytes_text(call.bytes_written), call.label);
    text += fmt::format("      {}\n      reads {}\n      writes {}\n", call.expression,
                        fmt::join(ranges(plan, call, call.reads), " "),
                        fmt::join(ranges(plan, call, call.writes), " "));
  }
  const PlanTotals totals = plan_totals(plan);
  text += fmt::format(
      "\n{} calls of {} kernels, {:.3f} GFLOP (the mathematics asks for {:.3f})\n"
      "bytes read {}, written {}, together {}\n"
      "ideal {} (each tensor of the unfused program touched once), ratio {:.2f}\n"
      "prologue: {} calls, {:.3f} GFLOP, bytes read and written {}\n"
      "memory: arena {} ({} of it kept for the prologue's results), constants {}, externals {}\n",
      plan.calls.size() - plan.prologue, plan.kernels.size(),
      static_cast<double>(totals.flops) / 1e9, static_cast<double>(plan.ideal_flops) / 1e9,
      totals.bytes_read, totals.bytes_written, totals.bytes(), plan.ideal_bytes, totals.ratio(plan),
      plan.prologue, static_cast<double>(totals.prologue_flops) / 1e9, totals.prologue_bytes,
      bytes_text(plan.arena_size), bytes_text(plan.kept_bytes), bytes_text(plan.constants.size()),
      bytes_text(totals.external_bytes));
  return text;
}

Json plan_json(const Plan& plan) {
  Json calls = Json::array(), externals = Json::array();
  for (const External& e : plan.externals)
    externals.push_back({{"name", e.name},
                         {"role", role_name(e.role)},
                         {"dtype", dtype_name(e.dtype)},
                         {"shape", e.shape.dims()},
                         {"bytes", e.size}});
  for (size_t i = 0; i < plan.calls.size(); ++i) {
    const KernelCall& call = plan.calls[i];
    calls.push_back({{"kernel", plan.kernels[call.kernel].name},
                     {"prologue", i < plan.prologue},
                     {"label", call.label},
                     {"expression", call.expression},
                     {"groups", call.groups},
                     {"barrier_before", call.barrier_before},
                     {"flops", call.flops},
                     {"bytes_read", call.bytes_read},
                     {"bytes_written", call.bytes_written},
                     {"reads", ranges(plan, call, call.reads)},
                     {"writes", ranges(plan, call, call.writes)}});
  }
  const PlanTotals totals = plan_totals(plan);
  return {{"name", plan.name},
          {"externals", externals},
          {"calls", calls},
          {"kernels", plan.kernels.size()},
          {"flops", totals.flops},
          {"bytes_read", totals.bytes_read},
          {"bytes_written", totals.bytes_written},
          {"ideal_bytes", plan.ideal_bytes},
          {"ideal_flops", plan.ideal_flops},
          {"ratio", totals.ratio(plan)},
          {"prologue_calls", plan.prologue},
          {"prologue_flops", totals.prologue_flops},
          {"prologue_bytes", totals.prologue_bytes},
          {"arena_bytes", plan.arena_size},
          {"kept_bytes", plan.kept_bytes},
          {"constant_bytes", plan.constants.size()}};
}

}  // namespace ito::apps
