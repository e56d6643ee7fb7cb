#include "apps/plan_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/name_pattern.h"

namespace ito::apps {
namespace {

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

std::string or_dash(const std::optional<double>& value) {
  return value ? fmt::format("{:.0f}", *value) : "–";
}

int64_t narrow_dispatches(const std::vector<KernelStatistics>& kernels) {
  return std::accumulate(kernels.begin(), kernels.end(), int64_t{0},
                         [](int64_t sum, const auto& kernel) { return sum + kernel.narrow; });
}

}  // namespace

std::string statistics_text(const Plan& plan, const std::vector<KernelStatistics>& kernels) {
  std::vector<size_t> order(kernels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return kernels[a].calls > kernels[b].calls; });
  std::string text =
      "plan " + plan.name +
      "\n\nregisters and spills as the driver counts them; loop: instructions of the block with "
      "the "
      "most\nmultiply-adds, their share, matrix instructions and how many there are for each load, "
      "and\nmultiply-adds for each load from shared memory\n"
      "   # calls lanes registers spills  loop   fma  matrix mat/load fma/load  kernel\n";
  for (const size_t i : order) {
    const KernelStatistics& kernel = kernels[i];
    text += fmt::format("{:>4} {:>5} {:>5} {:>9} {:>6} ", i, kernel.calls,
                        kernel.executable.subgroup_size, or_dash(kernel.executable.registers()),
                        or_dash(kernel.executable.spills()));
    if (const auto& loop = kernel.main_loop)
      text += fmt::format(
          "{:>5} {:>4.0f}% {:>7} {:>8.2f} {:>8.1f}", loop->instructions,
          100 * loop->multiply_add_share(), loop->matrix_instructions, loop->matrix_per_load(),
          static_cast<double>(loop->multiply_adds) / std::max(1, loop->shared_loads));
    else
      text += fmt::format("{:>5} {:>5} {:>7} {:>8} {:>8}", "–", "–", "–", "–", "–");
    text += "  " + kernel.name + "\n";
  }
  text += fmt::format(
      "\n{} dispatches of {} kernels, {} of them with fewer than {} invocations; spills: {}\n",
      plan.calls.size(), kernels.size(), narrow_dispatches(kernels), kNarrowCall,
      or_dash(total_spills(kernels)));
  return text;
}

Json statistics_json(const vk::DeviceInfo& device, const Plan& plan,
                     const std::vector<KernelStatistics>& kernels) {
  Json list = Json::array();
  for (const KernelStatistics& kernel : kernels) {
    Json statistics = Json::object();
    for (const vk::PipelineStatistic& s : kernel.executable.statistics)
      statistics[s.name] = s.value;
    Json entry = {{"name", kernel.name},
                  {"calls", kernel.calls},
                  {"subgroup_size", kernel.executable.subgroup_size},
                  {"registers", or_null(kernel.executable.registers())},
                  {"spills", or_null(kernel.executable.spills())},
                  {"main_loop_fma_share", nullptr},
                  {"main_loop_matrix_share", nullptr},
                  {"main_loop_matrix_per_load", nullptr},
                  {"main_loop", nullptr},
                  {"statistics", std::move(statistics)}};
    if (const auto& loop = kernel.main_loop) {
      entry["main_loop_fma_share"] = loop->multiply_add_share();
      entry["main_loop_matrix_share"] = loop->matrix_share();
      entry["main_loop_matrix_per_load"] = loop->matrix_per_load();
      entry["main_loop"] = {{"instructions", loop->instructions},
                            {"multiply_adds", loop->multiply_adds},
                            {"matrix_instructions", loop->matrix_instructions},
                            {"shared_loads", loop->shared_loads},
                            {"other_loads", loop->other_loads}};
    }
    list.push_back(std::move(entry));
  }
  return {{"device", device.name},
          {"driver", device.driver},
          {"plan", plan.name},
          {"dispatches", plan.calls.size()},
          {"prologue_dispatches", plan.prologue},
          {"narrow_dispatches", narrow_dispatches(kernels)},
          {"spills", or_null(total_spills(kernels))},
          {"kernels", std::move(list)}};
}

Result<std::string> kernel_assembly(const std::vector<KernelStatistics>& kernels,
                                    const std::string& which) {
  std::vector<std::string> names;
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (kernels[i].name == which || std::to_string(i) == which) {
      if (kernels[i].executable.code.empty())
        return unsupported("the driver does not print the machine code of '{}'", kernels[i].name);
      return kernels[i].executable.code + "\n";
    }
    names.push_back(kernels[i].name);
  }
  return not_found("--assembly {}: the plan has no such kernel; near it are {}", which,
                   fmt::join(near_patterns(which, names, 3), ", "));
}

}  // namespace ito::apps
