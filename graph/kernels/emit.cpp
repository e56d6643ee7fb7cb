#include "graph/kernels/emit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "graph/kernels/attention.h"
#include "graph/kernels/contract.h"
#include "graph/kernels/tile_transform.h"

namespace ito {
namespace {

// What is made of each result and stored, as a function `store_result` of the text. `neighbours`:
// whether the lanes of a subgroup always hold neighbouring ones.
void write_store(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                 KernelWriter& writer, bool neighbours, const DeviceCaps& caps) {
  const NodeId heavy = kernel.heavy[0];
  ExpressionWriter expression(graph, writer, storage);
  expression.bind(heavy, "o", "value");
  expression.set_varying("o");
  expression.set_varying("value");
  expression.set_varying("lane");
  if (neighbours) {
    writer.extension("GL_KHR_shader_subgroup_basic");
    expression.set_lanes("o", "base", caps.subgroup_size);
  }
  emit_stores(graph, kernel.stores, storage, writer, expression, ElementIndex{"o", {}},
              graph.node(heavy).shape);
  writer.function("void store_result(uint o, uint base, uint lane, float value) {\n" +
                  expression.take_text() + "}\n");
}

// The argument for an operand of which elements from `lowest` on are read. Offsets go into the
// addresses, so that equal layers share one kernel.
std::string operand_argument(const Graph& graph, const StorageMap& storage, KernelWriter& writer,
                             NodeId base, int64_t lowest) {
  return writer.argument(storage.argument_key(base, lowest), graph.node(base).dtype, /*read=*/true,
                         false);
}

EmittedKernel emit_contraction(const Graph& graph, const FusedKernel& kernel,
                               const StorageMap& storage, const DeviceCaps& caps,
                               const std::string& name) {
  const Node& node = graph.node(kernel.heavy[0]);
  ContractAttr attr = std::get<ContractAttr>(node.attrs);
  KernelWriter writer;
  // What is read backwards begins at its lowest element.
  auto operand = [&](size_t i, int64_t& offset, int64_t ContractAttr::Dim::*stride) {
    int64_t lowest = offset;
    for (const ContractAttr::Dim& dim : attr.dims)
      lowest += std::min<int64_t>(0, dim.*stride * (dim.size - 1));
    offset -= lowest;
    return operand_argument(graph, storage, writer, node.inputs[i], lowest);
  };
  std::string a = operand(0, attr.a_offset, &ContractAttr::Dim::a);
  std::string b = operand(1, attr.b_offset, &ContractAttr::Dim::b);
  write_store(graph, kernel, storage, writer, contract_stores_lanes(attr, caps), caps);
  GridKernel contract = emit_contract(writer, name, attr, a, b, "store_result", caps);
  return {std::move(contract.kernel), std::move(writer), contract.groups};
}

EmittedKernel emit_transform(const Graph& graph, const FusedKernel& kernel,
                             const StorageMap& storage, const DeviceCaps& caps,
                             const std::string& name) {
  const Node& node = graph.node(kernel.heavy[0]);
  TileTransformAttr attr = std::get<TileTransformAttr>(node.attrs);
  KernelWriter writer;
  int64_t lowest = attr.in_offset;
  for (const int64_t step : attr.in_step) lowest += std::min<int64_t>(0, step * (attr.taps - 1));
  attr.in_offset -= lowest;
  const std::string in = operand_argument(graph, storage, writer, node.inputs[0], lowest);
  write_store(graph, kernel, storage, writer, transform_stores_lanes(attr, caps), caps);
  GridKernel transform = emit_tile_transform(writer, name, attr, in, "store_result", caps);
  return {std::move(transform.kernel), std::move(writer), transform.groups};
}

void collect(const Graph& graph, const FusedKernel& kernel, const std::vector<bool>& stored,
             NodeId id, std::set<NodeId>& seen) {
  if (!seen.insert(id).second) return;
  bool own = std::find(kernel.stores.begin(), kernel.stores.end(), id) != kernel.stores.end();
  if (stored[id] && !own) return;
  if (op_def(graph.node(id).op).op_class == OpClass::kContraction) return;
  for (NodeId input : graph.node(id).inputs) collect(graph, kernel, stored, input, seen);
}

}  // namespace

std::string begin_lanes(KernelWriter& writer, ExpressionWriter& expression,
                        const DeviceCaps& caps) {
  expression.set_varying("lane");
  if (!caps.is_cpu) return "  uint lane = gl_LocalInvocationID.x;\n";
  writer.extension("GL_KHR_shader_subgroup_basic");
  return "  uint lane = gl_SubgroupInvocationID;\n";
}

void emit_stores(const Graph& graph, std::span<const NodeId> ids, const StorageMap& storage,
                 KernelWriter& writer, ExpressionWriter& expression, const ElementIndex& index,
                 const Shape& index_shape, const std::string& condition) {
  std::string position = expression.linear(index, index_shape);
  std::string stores;
  for (NodeId id : ids) {
    const Node& node = graph.node(id);
    ElementIndex at{position, {}};
    if (node.shape == index_shape) at.coords = index.coords;
    std::string value = expression.value(id, at);
    expression.bind(id, position, value);
    std::string name =
        writer.argument(storage.argument_key(id, 0), node.dtype, /*read=*/false, true);
    stores += "  " + writer.store(name, position, value) + "\n";
  }
  // All loads come before all stores: a value replaced in place is read first.
  if (!condition.empty()) stores = fmt::format("  if ({}) {{\n{}  }}\n", condition, stores);
  expression.append(stores);
}

EmittedKernel emit_kernel(const Graph& graph, const FusedKernel& kernel,
                          const std::vector<bool>& stored,
                          const std::function<NodeId(NodeId, int64_t)>& argument_key,
                          const DeviceCaps& caps, const std::string& prefix) {
  StorageMap storage;
  storage.stored = [&](NodeId id) {
    return stored[id] &&
           std::find(kernel.stores.begin(), kernel.stores.end(), id) == kernel.stores.end();
  };
  storage.argument_key = argument_key;
  // The operands of a contraction have parts of their own.
  const size_t operands =
      is_contraction(kernel.kind) ? graph.node(kernel.heavy[0]).inputs.size() : 0;
  storage.spare_arguments = static_cast<int>(kMaxKernelArguments) -
                            static_cast<int>(kernel.loads.size() + kernel.stores.size() + operands);
  EmittedKernel result;
  std::string name = kernel_name(graph, kernel, stored);
  switch (kernel.kind) {
    case FusedKernel::Kind::kMap:
      result = emit_map(graph, kernel, storage, caps, prefix);
      break;
    case FusedKernel::Kind::kReduce:
      result = emit_reduce(graph, kernel, storage, caps, prefix);
      break;
    case FusedKernel::Kind::kContract:
      return emit_contraction(graph, kernel, storage, caps, name);
    case FusedKernel::Kind::kTransform:
      return emit_transform(graph, kernel, storage, caps, name);
    case FusedKernel::Kind::kAttention:
      result = emit_attention(graph, kernel, storage, caps);
      break;
  }
  result.kernel.name = std::move(name);
  return result;
}

std::string kernel_name(const Graph& graph, const FusedKernel& kernel,
                        const std::vector<bool>& stored) {
  if (kernel.kind == FusedKernel::Kind::kAttention) {
    std::vector<std::string_view> ops;
    for (NodeId id : kernel.stores) ops.push_back(op_def(graph.node(id).op).name);
    return fmt::format("{}", fmt::join(ops, "_and_"));
  }
  std::set<NodeId> seen;
  for (NodeId id : kernel.stores) collect(graph, kernel, stored, id, seen);
  std::string name = kernel.kind == FusedKernel::Kind::kMap         ? "map"
                     : kernel.kind == FusedKernel::Kind::kReduce    ? "reduce"
                     : kernel.kind == FusedKernel::Kind::kTransform ? "transform"
                                                                    : "contract";
  int words = 0;
  std::set<std::string_view> used;
  for (NodeId id : seen) {
    const OpDef& def = op_def(graph.node(id).op);
    bool own = std::find(kernel.stores.begin(), kernel.stores.end(), id) != kernel.stores.end();
    if (stored[id] && !own) continue;
    if (def.op_class == OpClass::kLeaf || def.op_class == OpClass::kContraction) continue;
    if (!used.insert(def.name).second || ++words > 6) continue;
    name += fmt::format("_{}", def.name);
  }
  return name;
}

std::string expression_text(const Graph& graph, const FusedKernel& kernel,
                            const std::vector<bool>& stored) {
  std::function<std::string(NodeId, int, bool)> text = [&](NodeId id, int depth,
                                                           bool root) -> std::string {
    const Node& node = graph.node(id);
    if (node.op == Op::kFull) return fmt::format("{}", std::get<FullAttr>(node.attrs).value);
    if ((stored[id] && !root) || depth > 12) return fmt::format("%{}", id);
    std::vector<std::string> operands;
    for (NodeId input : node.inputs) operands.push_back(text(input, depth + 1, false));
    return fmt::format("{}({})", op_def(node.op).name, fmt::join(operands, ", "));
  };
  std::vector<std::string> lines;
  for (NodeId id : kernel.stores) lines.push_back(fmt::format("%{} = {}", id, text(id, 0, true)));
  return fmt::format("{}", fmt::join(lines, "; "));
}

}  // namespace ito
