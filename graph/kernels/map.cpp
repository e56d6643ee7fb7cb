#include <fmt/format.h>

#include <algorithm>

#include "base/integer.h"
#include "graph/kernels/emit.h"

namespace ito {
namespace {

constexpr int64_t kMapRepeats = 4;
constexpr int64_t kMapRepeatedLines = 32;

struct MapWalk {
  uint32_t lanes = 1;     // invocations of a workgroup
  int64_t chunks = 1;     // groups of `lanes` elements
  int64_t per_group = 1;  // chunks one workgroup handles
  uint32_t groups = 1;
};

MapWalk plan_walk(int64_t elements, const DeviceCaps& caps) {
  MapWalk walk;
  walk.lanes =
      caps.is_cpu ? caps.subgroup_size : std::min<uint32_t>(128, caps.max_workgroup_size_x);
  walk.chunks = ceil_div(elements, walk.lanes);
  // A CPU driver pays for each workgroup; a GPU wants many.
  int64_t wanted_groups = caps.is_cpu ? 64 : 4096;
  walk.per_group = std::max<int64_t>(1, walk.chunks / wanted_groups);
  walk.per_group = std::min<int64_t>(walk.per_group, caps.is_cpu ? 256 : 8);
  // Equal shares, where there are some of about that size, need no test for surplus turns.
  for (int64_t share = walk.per_group; caps.is_cpu && share * 2 > walk.per_group; --share) {
    if (walk.chunks % share != 0 || (walk.per_group >= 2 * kMapRepeats && share % kMapRepeats != 0))
      continue;
    walk.per_group = share;
    break;
  }
  while (ceil_div(walk.chunks, walk.per_group) > caps.max_groups_x) walk.per_group *= 2;
  walk.groups = static_cast<uint32_t>(ceil_div(walk.chunks, walk.per_group));
  return walk;
}

}  // namespace

EmittedKernel emit_map(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                       const DeviceCaps& caps, const std::string& prefix) {
  const Shape& shape = graph.node(kernel.stores.back()).shape;
  int64_t elements = shape.numel();
  MapWalk walk = plan_walk(elements, caps);
  KernelWriter writer(prefix);
  ExpressionWriter expression(graph, writer, storage);

  bool guard = elements % walk.lanes != 0;
  bool surplus = walk.per_group * walk.groups != walk.chunks;
  std::string head = begin_lanes(writer, expression, caps);
  // CPU drivers run the code behind a taken branch with all lanes off, scalar loads included: so
  // addresses are clamped, and only the stores are conditional.
  std::string body;
  int64_t repeats = 1;
  for (int64_t k = 0; k < repeats; ++k) {
    std::string suffix = k == 0 ? "" : fmt::format("_{}", k);
    std::string o = "o" + suffix, base = "base" + suffix;
    if (k == 0)
      body += fmt::format("  uint base = chunk * {}u;\n", walk.lanes);
    else
      body += fmt::format("  uint {} = base + {}u;\n", base, k * walk.lanes);
    body += fmt::format("  uint {} = {} + lane;\n", o, base);
    if (guard) body += fmt::format("  if (o < {}u) {{\n", elements);
    expression.set_varying(o);
    if (!guard && caps.is_cpu) expression.set_lanes(o, base, walk.lanes);
    emit_stores(graph, kernel.stores, storage, writer, expression, ElementIndex{o, {}}, shape,
                surplus ? "turn == chunk" : "");
    // A turn of the loop costs a CPU driver about forty cycles: cheap bodies share one.
    if (k == 0 && caps.is_cpu && !guard && !surplus && walk.per_group % kMapRepeats == 0 &&
        std::count(expression.text().begin(), expression.text().end(), '\n') <= kMapRepeatedLines)
      repeats = kMapRepeats;
    body += expression.take_text();
    if (guard) body += "  }\n";
  }
  const int64_t turns = walk.per_group / repeats;
  head += fmt::format(
      "  for (uint u = 0u; u < {0}u; ++u) {{\n"
      "  uint turn = gl_WorkGroupID.x * {0}u + u;\n"
      "  uint chunk = {1};\n",
      turns, index_mul(fmt::format("min(turn, {}u)", walk.chunks / repeats - 1), repeats));
  body = head + body + "  }\n";
  EmittedKernel result;
  result.kernel = writer.finish("map", {walk.lanes, 1, 1}, body);
  result.writer = std::move(writer);
  result.groups = {walk.groups, 1, 1};
  if (caps.is_cpu) result.kernel.required_subgroup_size = walk.lanes;
  return result;
}

}  // namespace ito
