#include "graph/kernels/lanes.h"

#include <fmt/format.h>

namespace ito {

std::vector<std::string> lane_declarations(KernelWriter& writer, int64_t lanes) {
  if (lanes == 1) return {"const uint lane = 0u;"};
  writer.extension("GL_KHR_shader_subgroup_basic");
  std::vector<std::string> lines = {"uint lane = gl_SubgroupInvocationID;"};
  for (int64_t l = 1; l < lanes; ++l)
    lines.push_back(fmt::format("bool is_lane{0} = lane == {0}u;", l));
  return lines;
}

LaneIndex lane_index(int64_t total, int64_t lanes) {
  if (total < lanes)
    return {{fmt::format("bool lane_owned = lane < {}u;", total),
             fmt::format("uint lane_index = min(lane, {}u);", total - 1)},
            true};
  if (total % lanes == 0) return {{"uint lane_index = lane_start + lane;"}, false};
  return {{"uint lane_first = lane_start;",
           fmt::format("lane_start = min(lane_start, {}u);", total - lanes),
           "uint lane_index = lane_start + lane;", "bool lane_owned = lane_index >= lane_first;"},
          true};
}

}  // namespace ito
