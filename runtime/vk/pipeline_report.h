// PipelineReport: what a driver says of the machine code that it made of a kernel
// (VK_KHR_pipeline_executable_properties): registers, spills, and the code as text. Drivers name
// their statistics each in its own way; the few that all have are read out here. Not for what the
// code is made of (machine_code.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/vk/context.h"

namespace ito::vk {

struct PipelineStatistic {
  std::string name;  // in the driver's words
  double value = 0;
};

// One form in which a driver compiled a kernel; some make one for each width of a subgroup.
struct PipelineExecutable {
  std::string name;
  uint32_t subgroup_size = 0;  // 0: not said
  std::vector<PipelineStatistic> statistics;
  std::string code;  // machine code as the driver prints it; empty where it does not

  // The statistic of that name; nothing where the driver has none.
  std::optional<double> statistic(std::string_view name) const;
  // Vector registers of an invocation, as the driver counts them.
  std::optional<double> registers() const;
  // Registers, or accesses to memory in their place, that did not fit; 0 is what one wants.
  std::optional<double> spills() const;
};

struct PipelineReport {
  std::vector<PipelineExecutable> executables;  // at least one

  // The form that counts: the widest subgroup.
  const PipelineExecutable& widest() const;
};

// Of a pipeline made with the capturing flags.
Result<PipelineReport> read_report(const Context& context, VkPipeline pipeline);

}  // namespace ito::vk
