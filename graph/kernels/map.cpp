#include <algorithm>

#include <fmt/format.h>

#include "graph/kernels/emit.h"

namespace ito {
namespace {

struct Walk {
  uint32_t lanes = 1;   // invocations of a workgroup
  int64_t chunks = 1;   // groups of `lanes` elements
  int64_t per_group = 1;  // chunks one workgroup handles
  uint32_t groups = 1;
};

Walk plan_walk(int64_t elements, const DeviceCaps& caps) {
  Walk walk;
  walk.lanes = caps.is_cpu ? caps.subgroup_size
                           : std::min<uint32_t>(128, caps.max_workgroup_size_x);
  walk.chunks = (elements + walk.lanes - 1) / walk.lanes;
  // A CPU driver pays for each workgroup; a GPU wants many.
  int64_t wanted_groups = caps.is_cpu ? 64 : 4096;
  walk.per_group = std::max<int64_t>(1, walk.chunks / wanted_groups);
  walk.per_group = std::min<int64_t>(walk.per_group, caps.is_cpu ? 256 : 8);
  while ((walk.chunks + walk.per_group - 1) / walk.per_group > caps.max_groups_x)
    walk.per_group *= 2;
  walk.groups = static_cast<uint32_t>((walk.chunks + walk.per_group - 1) / walk.per_group);
  return walk;
}

}  // namespace

EmittedKernel emit_map(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                       const DeviceCaps& caps) {
  const Shape& shape = graph.node(kernel.stores.back()).shape;
  int64_t elements = shape.numel();
  Walk walk = plan_walk(elements, caps);
  KernelWriter writer;
  ExpressionWriter expression(graph, writer, storage);

  bool guard = elements % walk.lanes != 0;
  std::string body = begin_lanes(writer, expression, caps);
  body += fmt::format("  for (uint u = 0u; u < {}u; ++u) {{\n", walk.per_group);
  // CPU drivers run the code behind a taken branch with all lanes off, scalar loads included: so
  // addresses are clamped, and only the stores are conditional.
  body += fmt::format("  uint turn = gl_WorkGroupID.x * {}u + u;\n", walk.per_group);
  body += fmt::format("  uint chunk = min(turn, {}u);\n", walk.chunks - 1);
  bool surplus = walk.per_group * walk.groups != walk.chunks;
  body += fmt::format("  uint base = chunk * {}u;\n  uint o = base + lane;\n", walk.lanes);
  if (guard) body += fmt::format("  if (o < {}u) {{\n", elements);
  expression.set_varying("o");
  if (!guard && caps.is_cpu) expression.set_lanes("o", "base", walk.lanes);
  emit_stores(graph, kernel, storage, writer, expression, ElementIndex{"o", {}}, shape,
              surplus ? "turn == chunk" : "");
  body += expression.take_text();
  if (guard) body += "  }\n";
  body += "  }\n";
  EmittedKernel result;
  result.kernel = writer.finish("map", {walk.lanes, 1, 1}, body);
  result.arguments = writer.arguments();
  result.groups = {walk.groups, 1, 1};
  if (caps.is_cpu) result.kernel.required_subgroup_size = walk.lanes;
  return result;
}

}  // namespace ito
