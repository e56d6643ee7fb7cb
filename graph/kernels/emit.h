// From a fused kernel to GLSL: the map and reduce archetypes and the epilogue of the contract
// archetype. Knows nothing of addresses; arguments are keys of a StorageMap.
#pragma once

#include <span>

#include "base/device_caps.h"
#include "graph/kernels/expression.h"
#include "graph/passes/fuse.h"

namespace ito {

struct EmittedKernel {
  Kernel kernel;
  KernelWriter writer;  // of its text, and with its arguments
  std::array<uint32_t, 3> groups = {1, 1, 1};
};

// `prefix` of names, for a map or a reduction whose text is to stand beside others.
EmittedKernel emit_kernel(const Graph& graph, const FusedKernel& kernel,
                          const std::vector<bool>& stored,
                          const std::function<NodeId(NodeId, int64_t)>& argument_key,
                          const DeviceCaps& caps, const std::string& prefix = "");

// One element per iteration: any fused elementwise, movement and indexed expression.
EmittedKernel emit_map(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                       const DeviceCaps& caps, const std::string& prefix);

// Sums or maxima, with the operand computed on the fly and further arithmetic on the result.
EmittedKernel emit_reduce(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                          const DeviceCaps& caps, const std::string& prefix);

// Declares `lane`, the invocation's place in its workgroup. On CPU drivers a workgroup is one
// subgroup, and the subgroup invocation is the form of it that the driver knows to be constant.
std::string begin_lanes(KernelWriter& writer, ExpressionWriter& expression, const DeviceCaps& caps);

// Computes and stores results of a kernel at `index`; appended to the expression's text. The stores
// happen only where the GLSL expression `condition` (if any) holds.
void emit_stores(const Graph& graph, std::span<const NodeId> ids, const StorageMap& storage,
                 KernelWriter& writer, ExpressionWriter& expression, const ElementIndex& index,
                 const Shape& index_shape, const std::string& condition = "");

// A readable name made of the ops of the expression: "map_mul_add_sigmoid".
std::string kernel_name(const Graph& graph, const FusedKernel& kernel,
                        const std::vector<bool>& stored);

// The expression in text form, operands by node number: "%12 = mul(%3, sigmoid(%3))".
std::string expression_text(const Graph& graph, const FusedKernel& kernel,
                            const std::vector<bool>& stored);

}  // namespace ito
