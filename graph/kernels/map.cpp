#include <algorithm>

#include <fmt/format.h>

#include "graph/kernels/emit.h"

namespace ito {
namespace {

// Last axis with more than one element, or -1.
int innermost(const Shape& shape) {
  for (int i = shape.rank() - 1; i >= 0; --i)
    if (shape[i] > 1) return i;
  return -1;
}

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

  std::string body = "  uint lane = gl_LocalInvocationID.x;\n";
  body += fmt::format("  for (uint u = 0u; u < {}u; ++u) {{\n", walk.per_group);
  body += fmt::format("  uint chunk = gl_WorkGroupID.x * {}u + u;\n", walk.per_group);
  if (walk.per_group * walk.groups != walk.chunks)
    body += fmt::format("  if (chunk >= {}u) break;\n", walk.chunks);
  body += fmt::format("  uint o = chunk * {}u + lane;\n", walk.lanes);
  bool guard = elements % walk.lanes != 0;
  if (guard) body += fmt::format("  if (o < {}u) {{\n", elements);

  ElementIndex index{"o", {}};
  int inner = innermost(shape);
  if (inner > 0 && shape[inner] % walk.lanes == 0) {
    // All lanes share the outer coordinates: they are computed once per chunk.
    int64_t per_row = shape[inner] / walk.lanes;
    std::string row = per_row == 1 ? "chunk" : expression.variable("uint", fmt::format("chunk / {}u", per_row));
    std::string column =
        per_row == 1 ? "lane"
                     : expression.variable(
                           "uint", fmt::format("(chunk % {}u) * {}u + lane", per_row, walk.lanes));
    std::vector<int64_t> outer(shape.dims().begin(), shape.dims().begin() + inner);
    index.coords = expression.coords(ElementIndex{row, {}}, Shape(outer));
    index.coords.push_back(column);
    index.coords.resize(static_cast<size_t>(shape.rank()), "0u");
  }
  emit_stores(graph, kernel, storage, writer, expression, index, shape);
  body += expression.take_text();
  if (guard) body += "  }\n";
  body += "  }\n";
  EmittedKernel result;
  result.kernel = writer.finish("map", {walk.lanes, 1, 1}, body);
  result.arguments = writer.arguments();
  result.groups = {walk.groups, 1, 1};
  return result;
}

}  // namespace ito
