#include "graph/compile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <map>

#include "base/integer.h"
#include "graph/kernels/joined.h"
#include "graph/passes/cost.h"
#include "graph/passes/fuse.h"
#include "graph/passes/join.h"
#include "graph/passes/passes.h"
#include "graph/passes/plan_memory.h"
#include "graph/passes/prologue.h"
#include "graph/passes/rewrite.h"
#include "graph/passes/schedule.h"

namespace ito {
namespace {

bool overlaps(const BufferRange& a, const BufferRange& b) {
  return a.space == b.space && a.buffer == b.buffer && a.offset < b.offset + b.size &&
         b.offset < a.offset + a.size;
}

// A barrier stands before a call that touches what an unfinished call wrote, or writes what one
// reads, and behind the prologue. Ranges compare by place in memory, so arena sharing is covered.
void place_barriers(std::vector<KernelCall>& calls, size_t prologue) {
  std::vector<BufferRange> written, read;
  for (KernelCall& call : calls) {
    call.barrier_before = prologue > 0 && &call == &calls[0] + prologue;
    auto hits = [&](const std::vector<BufferRange>& pending, size_t i) {
      for (const BufferRange& range : pending)
        if (overlaps(range, call.arguments[i])) return true;
      return false;
    };
    for (size_t i = 0; i < call.arguments.size() && !call.barrier_before; ++i) {
      bool writes = call.writes >> i & 1;
      call.barrier_before = hits(written, i) || (writes && hits(read, i));
    }
    if (call.barrier_before) {
      written.clear();
      read.clear();
    }
    for (size_t i = 0; i < call.arguments.size(); ++i)
      (call.writes >> i & 1 ? written : read).push_back(call.arguments[i]);
  }
}

// Emits every kernel, in order.
std::vector<KeyedKernel> emit_kernels(const FusedProgram& fused, const DeviceCaps& caps) {
  std::vector<KeyedKernel> kernels;
  for (const FusedKernel& kernel : fused.kernels)
    kernels.push_back(keyed_kernel(fused, kernel, caps, ""));
  return kernels;
}

class PlanBuilder {
 public:
  PlanBuilder(const FusedProgram& fused, std::vector<KeyedKernel> emitted, MemoryPlan memory,
              const DeviceCaps& caps)
      : fused_(fused),
        graph_(*fused.program->graph),
        emitted_(std::move(emitted)),
        memory_(std::move(memory)),
        caps_(caps) {}

  Plan build() {
    plan_.name = fused_.program->name;
    for (size_t first = 0, end; first < fused_.kernels.size(); first = end) {
      end = first + 1;
      while (end < fused_.kernels.size() &&
             fused_.kernels[end].dispatch == fused_.kernels[first].dispatch)
        ++end;
      end - first == 1 ? add_call(first) : add_joined_call(first, end);
      if (fused_.kernels[first].prologue)
        plan_.prologue = static_cast<uint32_t>(plan_.calls.size());
    }
    for (const auto& [output, external] : memory_.copies) add_copy(output, external);
    place_barriers(plan_.calls, plan_.prologue);
    plan_.externals = std::move(memory_.externals);
    plan_.constants = std::move(memory_.constants);
    plan_.arena_size = memory_.arena_size;
    plan_.arena_piece = memory_.arena_piece;
    plan_.kept_bytes = memory_.kept_bytes;
    return std::move(plan_);
  }

 private:
  BufferRange range_of(const std::pair<NodeId, int64_t>& key) const {
    const auto& [base, offset] = key;
    BufferRange range = memory_.place[base];
    uint64_t bytes = static_cast<uint64_t>(offset) * dtype_size(graph_.node(base).dtype);
    range.offset += bytes;
    range.size -= bytes;
    range.dtype = graph_.node(base).dtype;
    return range;
  }

  uint32_t kernel_index(Kernel kernel) {
    auto [it, fresh] =
        kernel_of_text_.try_emplace(kernel.glsl, static_cast<uint32_t>(plan_.kernels.size()));
    if (fresh) plan_.kernels.push_back(std::move(kernel));
    return it->second;
  }

  // What a call says of kernel k, and its arguments behind those that are there.
  void describe(KernelCall& call, size_t k) const {
    const FusedKernel& kernel = fused_.kernels[k];
    const KeyedKernel& keyed = emitted_[k];
    const std::string text = expression_text(graph_, kernel, fused_.stored);
    call.expression += (call.expression.empty() ? "" : "; ") + text;
    for (const KernelWriter::Argument& argument : keyed.emitted.writer.arguments()) {
      const size_t i = call.arguments.size();
      call.arguments.push_back(range_of(keyed.keys[argument.value]));
      if (argument.read) call.reads |= uint64_t{1} << i;
      if (argument.written) call.writes |= uint64_t{1} << i;
    }
    const KernelCost cost = kernel_cost(graph_, kernel, fused_.stored);
    call.flops += cost.flops;
    call.bytes_read += cost.bytes_read;
    call.bytes_written += cost.bytes_written;
  }

  const std::string& label_of(size_t k) const {
    return graph_.node(fused_.kernels[k].stores.back()).label;
  }

  void add_call(size_t k) {
    EmittedKernel& emitted = emitted_[k].emitted;
    CHECK(emitted.writer.arguments().size() <= kMaxKernelArguments,
          fmt::format("kernel {} ({}) has {} arguments", emitted.kernel.name, label_of(k),
                      emitted.writer.arguments().size()));
    KernelCall call;
    call.groups = emitted.groups;
    call.label = label_of(k);
    describe(call, k);
    call.kernel = kernel_index(std::move(emitted.kernel));
    plan_.calls.push_back(std::move(call));
  }

  // Kernels [first, end) as one call; equal ones are one part of it.
  void add_joined_call(size_t first, size_t end) {
    std::map<PartKey, std::vector<size_t>> by_part;
    for (size_t k = first; k < end; ++k) by_part[part_key(emitted_[k].emitted)].push_back(k);
    std::vector<KernelWriter> writers;
    std::vector<JoinedPart> parts;
    std::vector<std::string> names;
    KernelCall call;
    call.groups = {0, 1, 1};
    for (const auto& [key, kernels] : by_part) {
      const EmittedKernel& emitted = emitted_[kernels[0]].emitted;
      writers.push_back(by_part.size() == 1 ? emitted.writer
                                            : keyed_kernel(fused_, fused_.kernels[kernels[0]],
                                                           caps_, fmt::format("p{}_", parts.size()))
                                                  .emitted.writer);
      parts.push_back({nullptr, emitted.groups[0], static_cast<uint32_t>(kernels.size())});
      names.push_back(emitted.kernel.name);
      call.groups[0] += emitted.groups[0] * parts.back().count;
      call.tables.push_back(static_cast<uint32_t>(call.arguments.size()));
      for (size_t k : kernels) describe(call, k);
    }
    for (size_t i = 0; i < parts.size(); ++i) parts[i].writer = &writers[i];
    call.label = fmt::format("{} and {} more", label_of(first), end - first - 1);
    const EmittedKernel& any = emitted_[first].emitted;
    Kernel kernel =
        join_kernels(fmt::format("{}", fmt::join(names, "_and_")), any.kernel.local_size, parts);
    kernel.required_subgroup_size = any.kernel.required_subgroup_size;
    for (size_t k = first; k < end; ++k) {
      const Kernel& part = emitted_[k].emitted.kernel;
      kernel.uses_float16 |= part.uses_float16;
      kernel.uses_16bit_storage |= part.uses_16bit_storage;
      kernel.uses_cooperative_matrix |= part.uses_cooperative_matrix;
    }
    call.kernel = kernel_index(std::move(kernel));
    plan_.calls.push_back(std::move(call));
  }

  // A donated output whose input was still needed while it was computed.
  void add_copy(size_t output, uint32_t external) {
    const ProgramOutput& result = fused_.program->outputs[output];
    const Node& node = result.value.node();
    KernelWriter writer;
    std::string from = writer.argument(0, node.dtype, /*read=*/true, false);
    std::string to = writer.argument(1, node.dtype, false, /*written=*/true);
    auto lanes = caps_.is_cpu ? caps_.subgroup_size : 64u;
    int64_t n = node.shape.numel();
    int64_t groups = std::min<int64_t>(ceil_div(n, lanes), caps_.is_cpu ? 64 : 4096);
    std::string body = fmt::format(
        "  for (uint o = gl_GlobalInvocationID.x; o < {}u; o += {}u) {{\n    {}\n  }}\n", n,
        groups * lanes, writer.store(to, "o", writer.load(from, "o")));
    KernelCall call;
    call.groups = {static_cast<uint32_t>(groups), 1, 1};
    call.label = result.name;
    call.expression = result.name + " = copy";
    uint64_t bytes = memory_.externals[external].size;
    call.arguments = {memory_.place[result.value.id()],
                      {BufferSpace::kExternal, external, 0, bytes}};
    call.reads = 1;
    call.writes = 2;
    call.bytes_read = call.bytes_written = bytes;
    call.kernel = kernel_index(writer.finish("copy", {lanes, 1, 1}, body));
    plan_.calls.push_back(std::move(call));
  }

  const FusedProgram& fused_;
  const Graph& graph_;
  std::vector<KeyedKernel> emitted_;
  MemoryPlan memory_;
  const DeviceCaps& caps_;
  Plan plan_;
  std::map<std::string, uint32_t> kernel_of_text_;
};

Status check_outputs(const Program& program) {
  std::map<std::string, int> seen;
  for (const ProgramOutput& output : program.outputs)
    if (seen[output.name]++ > 0)
      return Error{ErrorKind::kInvalidArgument,
                   fmt::format("program {} has two outputs named '{}'", program.name, output.name)};
  return {};
}

// Kernels count elements in 32 bits, and some of their index arithmetic is signed.
Status check_sizes(const Program& program) {
  constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
  const std::vector<bool> live = live_nodes(program);
  for (NodeId id = 0; id < program.graph->size(); ++id) {
    const Node& node = program.graph->node(id);
    if (!live[id] || node.shape.numel() <= kLargest) continue;
    return Error{
        ErrorKind::kUnsupported,
        fmt::format("program {}: {}{}{} has {} elements {}, at most {} are possible; use a "
                    "smaller batch, image or network",
                    program.name, op_def(node.op).name, node.label.empty() ? "" : " at ",
                    node.label, node.shape.numel(), node.shape.to_string(), kLargest)};
  }
  return {};
}

Status check_multiply(const Program& program, const DeviceCaps& caps) {
  // bfloat16 is the upper half of a single, for which whole numbers do.
  if (program.multiply != DType::kF16 || caps.shader_float16) return {};
  return Error{ErrorKind::kUnsupported,
               fmt::format("'{}' has no 16-bit floats (shaderFloat16); use --precision fp32 or "
                           "bf16, or another device",
                           caps.name)};
}

// Nothing that is stored may be larger than what the device gives in one piece.
Status check_pieces(const std::string& name, const Graph& graph, const MemoryPlan& memory,
                    const DeviceCaps& caps) {
  const auto fail = [&](const std::string& what, const Shape& shape, uint64_t bytes) {
    return Error{
        ErrorKind::kUnsupported,
        fmt::format("program {}: {} {} needs {} bytes in one piece, '{}' gives {}; use a "
                    "smaller batch, image or network, or another device",
                    name, what, shape.to_string(), bytes, caps.name, caps.max_allocation_bytes)};
  };
  for (const External& external : memory.externals)
    if (external.size > caps.max_allocation_bytes)
      return fail(external.name, external.shape, external.size);
  if (memory.too_large == kNoNode) return {};
  const Node& node = graph.node(memory.too_large);
  return fail(
      fmt::format("{}{}{}", op_def(node.op).name, node.label.empty() ? "" : " at ", node.label),
      node.shape, static_cast<uint64_t>(node.shape.numel()) * dtype_size(node.dtype));
}

}  // namespace

Result<Plan> compile(const Program& program, const DeviceCaps& caps,
                     const CompileOptions& options) {
  ITO_TRY(verify(*program.graph));
  ITO_TRY(check_outputs(program));
  ITO_TRY(check_sizes(program));
  ITO_TRY(check_multiply(program, caps));
  uint64_t ideal = ideal_bytes(program);
  const uint64_t kept = prologue_limit(options.prologue_bytes, caps);
  // Constants first: later passes see shapes and values in their simplest form.
  Program current = canonicalize(program);
  // Composites without a kernel of their own become primitives, which meet their own gradients'
  // parts again by value numbering.
  current = decompose(current, caps, options.attention);
  const uint64_t flops = ideal_flops(current);
  // Which contractions multiply in 16 bits: attention is matrix products by now, and the gradients
  // are there.
  if (program.multiply != DType::kF32) current = autocast(current, program.multiply);
  // Contractions need padded operands as nodes of their own before fusion can feed them.
  current = lower(current, caps, kept);
  // Folding what lowering built (masks, flips of constants).
  current = canonicalize(current);
  // Every result its own node, so that fusion can give each a place.
  current = separate_results(current);
  ITO_TRY(check_sizes(current));
  // Which kernel computes what.
  FusedProgram fused = fuse(current, options.fuse, caps);
  // What runs only when parameters have changed.
  limit_prologue(fused, kept);
  // In which order.
  schedule(fused);
  // GLSL, and which kernels run together: needs the order and the sizes of the kernels.
  std::vector<KeyedKernel> kernels = emit_kernels(fused, caps);
  if (options.fuse) join_dispatches(fused, kernels, caps);
  // Where it lies: needs the order.
  MemoryPlan memory = plan_memory(fused, options.reuse_memory, caps.max_allocation_bytes);
  ITO_TRY(check_pieces(program.name, *fused.program->graph, memory, caps));
  // Calls, addresses and barriers: needs the places.
  Plan plan = PlanBuilder(fused, std::move(kernels), std::move(memory), caps).build();
  plan.ideal_bytes = ideal;
  plan.ideal_flops = flops;
  return plan;
}

}  // namespace ito
