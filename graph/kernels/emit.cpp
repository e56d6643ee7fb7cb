#include "graph/kernels/emit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "graph/kernels/attention.h"
#include "graph/kernels/contract.h"

namespace ito {
namespace {

EmittedKernel emit_contraction(const Graph& graph, const FusedKernel& kernel,
                               const StorageMap& storage, const DeviceCaps& caps,
                               const std::string& name) {
  NodeId heavy = kernel.heavy[0];
  const Node& node = graph.node(heavy);
  ContractAttr attr = std::get<ContractAttr>(node.attrs);
  KernelWriter writer;
  // Offsets go into the addresses, so that equal layers share one kernel. What is read backwards
  // begins at its lowest element.
  auto operand = [&](int i, int64_t& offset, int64_t ContractAttr::Dim::*stride) {
    NodeId base = node.inputs[static_cast<size_t>(i)];
    int64_t lowest = offset;
    for (const ContractAttr::Dim& dim : attr.dims)
      lowest += std::min<int64_t>(0, dim.*stride * (dim.size - 1));
    std::string argument = writer.argument(storage.argument_key(base, lowest),
                                           graph.node(base).dtype, /*read=*/true, false);
    offset -= lowest;
    return argument;
  };
  std::string a = operand(0, attr.a_offset, &ContractAttr::Dim::a);
  std::string b = operand(1, attr.b_offset, &ContractAttr::Dim::b);
  ExpressionWriter expression(graph, writer, storage);
  expression.bind(heavy, "o", "value");
  expression.set_varying("o");
  expression.set_varying("value");
  expression.set_varying("lane");
  if (contract_stores_lanes(attr, caps)) {
    writer.extension("GL_KHR_shader_subgroup_basic");
    expression.set_lanes("o", "base", caps.subgroup_size);
  }
  emit_stores(graph, kernel.stores, storage, writer, expression, ElementIndex{"o", {}}, node.shape);
  writer.function("void store_result(uint o, uint base, uint lane, float value) {\n" +
                  expression.take_text() + "}\n");
  ContractKernel contract = emit_contract(writer, name, attr, a, b, "store_result", caps);
  return {std::move(contract.kernel), std::move(writer), contract.groups};
}

void collect(const Graph& graph, const FusedKernel& kernel, const std::vector<bool>& stored,
             NodeId id, std::set<NodeId>& seen) {
  if (!seen.insert(id).second) return;
  bool own = std::find(kernel.stores.begin(), kernel.stores.end(), id) != kernel.stores.end();
  if (stored[id] && !own) return;
  if (graph.node(id).op == Op::kContract) return;
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
  storage.spare_arguments = static_cast<int>(kMaxKernelArguments) -
                            static_cast<int>(kernel.loads.size() + kernel.stores.size()) -
                            static_cast<int>(kernel.kind == FusedKernel::Kind::kContract ? 2 : 0);
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
  std::string name = kernel.kind == FusedKernel::Kind::kMap      ? "map"
                     : kernel.kind == FusedKernel::Kind::kReduce ? "reduce"
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
