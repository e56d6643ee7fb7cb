#include "runtime/vk/pipeline_report.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace ito::vk {
namespace {

// What drivers call the same thing: RADV; ANV; NVK (Mesa's for AMD, Intel and NVIDIA).
constexpr std::string_view kRegisters[] = {"VGPRs", "Max live registers", "Number of GPRs"};
constexpr std::string_view kSpills[] = {"Spilled VGPRs", "Spilled SGPRs", "Spill Count"};
// NVK gives bytes of local memory only, four a spilled register.
constexpr std::string_view kLocalMemory = "SLM Size";

double number(const VkPipelineExecutableStatisticKHR& statistic) {
  switch (statistic.format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
      return statistic.value.b32 == VK_TRUE ? 1 : 0;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
      return static_cast<double>(statistic.value.i64);
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
      return static_cast<double>(statistic.value.u64);
    default:
      return statistic.value.f64;
  }
}

// Intermediate forms (NIR, ACO's and LLVM's IR) come first; the machine code is the last text.
bool is_machine_code(const VkPipelineExecutableInternalRepresentationKHR& representation) {
  const std::string_view name = representation.name;
  return representation.isText == VK_TRUE && name.find("NIR") == std::string_view::npos &&
         name.find(" IR") == std::string_view::npos;
}

Result<std::string> read_code(const Context& context, const VkPipelineExecutableInfoKHR& info) {
  VkPipelineExecutableInternalRepresentationKHR blank = {};
  blank.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
  std::vector<VkPipelineExecutableInternalRepresentationKHR> all;
  const auto read = [&](uint32_t* n, VkPipelineExecutableInternalRepresentationKHR* data) {
    return context.fn.vkGetPipelineExecutableInternalRepresentationsKHR(context.device, &info, n,
                                                                        data);
  };
  VkResult result = enumerate(all, blank, read);
  if (result != VK_SUCCESS) return context.error(result, "reading a pipeline's machine code");
  // Sizes are known now; a second call fills what has room.
  std::vector<std::string> texts(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    texts[i].resize(all[i].dataSize);
    all[i].pData = texts[i].data();
  }
  auto count = static_cast<uint32_t>(all.size());
  result = read(&count, all.data());
  if (result != VK_SUCCESS) return context.error(result, "reading a pipeline's machine code");
  for (size_t i = count; i-- > 0;) {
    if (!is_machine_code(all[i])) continue;
    texts[i].resize(all[i].dataSize);
    while (!texts[i].empty() && texts[i].back() == '\0') texts[i].pop_back();
    return texts[i];
  }
  return std::string();
}

}  // namespace

std::optional<double> PipelineExecutable::statistic(std::string_view wanted) const {
  for (const PipelineStatistic& s : statistics)
    if (s.name == wanted) return s.value;
  return std::nullopt;
}

std::optional<double> PipelineExecutable::registers() const {
  for (const std::string_view known : kRegisters)
    if (const auto value = statistic(known)) return value;
  return std::nullopt;
}

std::optional<double> PipelineExecutable::spills() const {
  std::optional<double> sum;
  for (const std::string_view known : kSpills)
    if (const auto value = statistic(known)) sum = sum.value_or(0) + *value;
  if (const auto bytes = statistic(kLocalMemory)) sum = sum.value_or(0) + *bytes / 4;
  return sum;
}

const PipelineExecutable& PipelineReport::widest() const {
  return *std::max_element(
      executables.begin(), executables.end(),
      [](const auto& a, const auto& b) { return a.subgroup_size < b.subgroup_size; });
}

Result<PipelineReport> read_report(const Context& context, VkPipeline pipeline) {
  const DeviceFunctions& fn = context.fn;
  VkPipelineInfoKHR of = {};
  of.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR;
  of.pipeline = pipeline;
  VkPipelineExecutablePropertiesKHR blank = {};
  blank.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
  std::vector<VkPipelineExecutablePropertiesKHR> properties;
  VkResult result =
      enumerate(properties, blank, [&](uint32_t* n, VkPipelineExecutablePropertiesKHR* data) {
        return fn.vkGetPipelineExecutablePropertiesKHR(context.device, &of, n, data);
      });
  if (result != VK_SUCCESS) return context.error(result, "listing a pipeline's executables");
  if (properties.empty())
    return unsupported("'{}' says nothing of a pipeline's machine code", context.caps.name);

  PipelineReport report;
  for (uint32_t i = 0; i < properties.size(); ++i) {
    PipelineExecutable executable;
    executable.name = properties[i].name;
    executable.subgroup_size = properties[i].subgroupSize;
    VkPipelineExecutableInfoKHR info = {};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR;
    info.pipeline = pipeline;
    info.executableIndex = i;
    VkPipelineExecutableStatisticKHR none = {};
    none.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    std::vector<VkPipelineExecutableStatisticKHR> statistics;
    result = enumerate(statistics, none, [&](uint32_t* n, VkPipelineExecutableStatisticKHR* data) {
      return fn.vkGetPipelineExecutableStatisticsKHR(context.device, &info, n, data);
    });
    if (result != VK_SUCCESS) return context.error(result, "reading a pipeline's statistics");
    for (const auto& s : statistics) executable.statistics.push_back({s.name, number(s)});
    ITO_ASSIGN(executable.code, read_code(context, info));
    report.executables.push_back(std::move(executable));
  }
  return report;
}

}  // namespace ito::vk
