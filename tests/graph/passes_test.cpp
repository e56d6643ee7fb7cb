// The compiler passes one by one, in text: a small program before, what a pass makes of it after.
// Each test states one claim. That plans compute the right values is shown where a device is
// (tests/runtime).
#include "graph/passes/passes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <sstream>

#include "graph/builder.h"
#include "graph/compile.h"
#include "graph/passes/fuse.h"
#include "graph/passes/plan_memory.h"
#include "graph/passes/rewrite.h"
#include "graph/passes/schedule.h"

namespace ito {
namespace {

DeviceCaps cpu() {
  DeviceCaps caps;
  caps.is_cpu = true;
  caps.subgroup_size = 8;
  caps.compute_units = 2;
  return caps;
}

// The nodes that an output needs, one per line.
std::string text_of(const Program& program) {
  const std::vector<bool> live = live_nodes(program);
  std::istringstream all(to_text(*program.graph));
  std::string text;
  size_t id = 0;
  for (std::string line; std::getline(all, line); ++id)
    if (live[id]) text += line + "\n";
  return text;
}

DeviceCaps gpu() { return {}; }

// What compile() does before fuse().
Program prepared(const Program& program, const DeviceCaps& caps = cpu()) {
  return separate_results(
      canonicalize(lower(decompose(canonicalize(program), caps, AttentionForm::kFastest), caps)));
}

std::string name_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (const auto* input = std::get_if<InputAttr>(&node.attrs)) return input->name;
  return fmt::format("{}%{}", op_def(node.op).name, id);
}

// One line per kernel, in order: "contract: stores add%7; loads pad%4, w, bias".
std::string listing(const FusedProgram& fused) {
  const Graph& graph = *fused.program->graph;
  std::string text;
  for (const FusedKernel& kernel : fused.kernels) {
    constexpr const char* kKinds[] = {"map", "reduce", "contract"};
    std::vector<std::string> stores, loads;
    for (NodeId id : kernel.stores) stores.push_back(name_of(graph, id));
    for (const auto& [id, same] : kernel.loads) loads.push_back(name_of(graph, id));
    text += fmt::format("{}: stores {}; loads {}\n", kKinds[static_cast<int>(kernel.kind)],
                        fmt::join(stores, ", "), fmt::join(loads, ", "));
  }
  return text;
}

int external(const MemoryPlan& plan, const std::string& name) {
  for (size_t i = 0; i < plan.externals.size(); ++i)
    if (plan.externals[i].name == name) return static_cast<int>(i);
  return -1;
}

TEST(Canonicalize, FoldsConstantsAndDropsStopGradientAndDeadCode) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, "x", {2});
  const Tensor table = constant(graph, {2}, {1, 2}) * constant(graph, {2}, {3, 5});
  exp(x);  // needed by nobody
  program.output("y", stop_gradient(x) * table);
  EXPECT_EQ(text_of(canonicalize(program)),
            "%0 = input(){name=x} : f32[2]\n"
            "%3 = constant(){data=[3,10]} : f32[2]\n"
            "%4 = mul(%0, %3) : f32[2]\n");
}

TEST(Decompose, SoftmaxBecomesPrimitives) {
  Program program;
  program.output("y", softmax(input(*program.graph, "x", {2, 3})));
  EXPECT_EQ(text_of(decompose(program, cpu(), AttentionForm::kFastest)),
            "%0 = input(){name=x} : f32[2,3]\n"
            "%1 = reduce_max(%0){axes=[1]} : f32[2,1]\n"
            "%2 = stop_gradient(%1) : f32[2,1]\n"
            "%3 = broadcast(%2) : f32[2,3]\n"
            "%4 = sub(%0, %3) : f32[2,3]\n"
            "%5 = exp(%4) : f32[2,3]\n"
            "%6 = reduce_sum(%5){axes=[1]} : f32[2,1]\n"
            "%7 = broadcast(%6) : f32[2,3]\n"
            "%8 = div(%5, %7) : f32[2,3]\n");
}

TEST(Autocast, MarksProductsAndNothingElse) {
  Program program;
  Graph& g = *program.graph;
  const Tensor x = input(g, "x", {1, 4, 4, 2}), w = input(g, "w", {3, 3, 2, 2});
  ConvAttr attr;
  attr.pad = {1, 1, 1, 1};
  program.output("y", silu(conv2d(x, w, attr)));
  program.output("z", matmul(reshape(x, {16, 2}), reshape(w, {2, 18})));
  const std::string text = text_of(autocast(program, DType::kF16));
  const std::string before = text_of(program);
  EXPECT_EQ(before.find("multiply"), std::string::npos);
  size_t marks = 0;
  for (size_t at = text.find("multiply=f16"); at != std::string::npos;
       at = text.find("multiply=f16", at + 1))
    ++marks;
  EXPECT_EQ(marks, 2u) << text;
  // Lowering keeps the mark.
  EXPECT_NE(text_of(lower(autocast(program, DType::kF16), cpu())).find("multiply=f16"),
            std::string::npos);
}

TEST(Lower, PaddingIsANodeInFrontOfTheContraction) {
  Program program;
  Graph& graph = *program.graph;
  ConvAttr conv;
  conv.pad = {1, 1, 1, 1};
  const Tensor x = input(graph, "x", {1, 4, 4, 2}), w = input(graph, "w", {3, 3, 2, 8});
  program.output("y", conv2d(x, w, conv));
  EXPECT_EQ(text_of(lower(program, cpu())),
            "%0 = input(){name=x} : f32[1,4,4,2]\n"
            "%1 = input(){name=w} : f32[3,3,2,8]\n"
            "%2 = pad(%0){low=[0,1,1,0],high=[0,1,1,0],interior=[0,0,0,0],value=0} : f32[1,6,6,2]\n"
            "%3 = contract(%2, "
            "%1){dims=[4:12:0:32,4:2:0:8,8:0:1:1,3:12:48:0,3:2:16:0,2:1:8:0],a_offset=0,"
            "b_offset=0} : f32[1,4,4,8]\n");
}

TEST(Lower, TransposedOperandsCostNothing) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor a = input(graph, "a", {4, 3}), b = input(graph, "b", {8, 3});
  program.output("y", matmul(a, permute(b, {1, 0})));
  EXPECT_EQ(
      text_of(lower(program, cpu())),
      "%0 = input(){name=a} : f32[4,3]\n"
      "%1 = input(){name=b} : f32[8,3]\n"
      "%3 = contract(%0, %1){dims=[4:3:0:8,8:0:3:1,3:1:1:0],a_offset=0,b_offset=0} : f32[4,8]\n");
}

TEST(SeparateResults, AnInputThatIsAnOutputIsCopied) {
  Program program;
  program.output("y", input(*program.graph, "x", {2}));
  EXPECT_EQ(text_of(separate_results(program)),
            "%0 = input(){name=x} : f32[2]\n"
            "%1 = stop_gradient(%0) : f32[2]\n");
}

TEST(SeparateResults, OneValueUnderTwoNamesIsTwoNodes) {
  Program program;
  const Tensor y = exp(input(*program.graph, "x", {2}));
  program.output("one", y);
  program.output("two", y);
  EXPECT_EQ(text_of(separate_results(program)),
            "%0 = input(){name=x} : f32[2]\n"
            "%1 = exp(%0) : f32[2]\n"
            "%2 = stop_gradient(%1) : f32[2]\n");
}

TEST(Fuse, ConvolutionBiasSiluAndResidualAreOneKernel) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, "x", {1, 4, 4, 8}), w = input(graph, "w", {1, 1, 8, 8});
  const Tensor bias = input(graph, "bias", {8}), residual = input(graph, "residual", {1, 4, 4, 8});
  program.output("y", silu(conv2d(x, w, ConvAttr{}) + bias) + residual);
  const Program ready = prepared(program);
  EXPECT_EQ(listing(fuse(ready, true, cpu())),
            "contract: stores add%10; loads x, w, bias, residual\n");
}

// NCSN++'s residual blocks: the sum is scaled by 1/√2.
TEST(Fuse, ConvolutionBiasSiluResidualAndScaleAreOneKernel) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, "x", {1, 4, 4, 8}), w = input(graph, "w", {1, 1, 8, 8});
  const Tensor bias = input(graph, "bias", {8}), residual = input(graph, "residual", {1, 4, 4, 8});
  program.output("y", (silu(conv2d(x, w, ConvAttr{}) + bias) + residual) * 0.70710678);
  const Program ready = prepared(program);
  EXPECT_EQ(listing(fuse(ready, true, cpu())),
            "contract: stores mul%12; loads x, w, bias, residual\n");
}

// Of a residual block's group norm only the statistics are stored, mean and variance from one pass:
// subtracting, scaling, the affine
// part, SiLU and the next convolution's padding are one kernel that reads x once.
TEST(Fuse, ApplyingGroupNormSiluAndPaddingIsOneKernel) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, "x", {2, 4, 4, 8}), w = input(graph, "w", {3, 3, 8, 8});
  const Tensor gamma = input(graph, "gamma", {8}), beta = input(graph, "beta", {8});
  ConvAttr conv;
  conv.pad = {1, 1, 1, 1};
  program.output("y", conv2d(silu(group_norm(x, gamma, beta, 2, 1e-5)), w, conv));
  const Program ready = prepared(program);
  EXPECT_EQ(listing(fuse(ready, true, cpu())),
            "reduce: stores reshape%11, reshape%20; loads x\n"
            "reduce: stores mul%15, rsqrt%27, add%28; loads x, reshape%11, reshape%20\n"
            "map: stores pad%42; loads x, gamma, beta, rsqrt%27, add%28\n"
            "contract: stores contract%43; loads w, pad%42\n");
  // Where workgroups have many invocations, one kernel takes the statistics and applies them.
  const Program on_gpu = prepared(program, gpu());
  EXPECT_EQ(listing(fuse(on_gpu, true, gpu())),
            "reduce: stores mul%15, rsqrt%27, add%28, pad%42; loads x, gamma, beta\n"
            "contract: stores contract%43; loads w, pad%42\n");
}

TEST(Fuse, ElementwiseChainsStoreTheirLastValueOnlyAndWithoutFusionEach) {
  Program program;
  const Tensor x = input(*program.graph, "x", {64});
  program.output("y", sqrt(exp(x) + x));
  const Program ready = prepared(program);
  EXPECT_EQ(listing(fuse(ready, true, cpu())), "map: stores sqrt%3; loads x\n");
  EXPECT_EQ(listing(fuse(ready, false, cpu())), "map: stores exp%1, add%2, sqrt%3; loads x\n");
}

TEST(Fuse, ReductionsOverTheSameElementsShareOneWalk) {
  Program program;
  const Tensor x = input(*program.graph, "x", {64, 8});
  program.output("sum", sum(x, {1}));
  program.output("squares", sum(square(x), {1}));
  const Program ready = prepared(program);
  EXPECT_EQ(listing(fuse(ready, true, cpu())), "reduce: stores reshape%2, reshape%5; loads x\n");
}

FusedProgram scheduled(const Program& program) {
  FusedProgram fused = fuse(program, true, cpu());
  schedule(fused);
  return fused;
}

// Kernel 0 waits for 2, which waits for 1; 3 is as old as it comes.
TEST(Schedule, KernelsFollowWhatTheyNeedAndElseTheProgram) {
  FusedProgram fused;
  fused.kernels.resize(4);
  for (NodeId k = 0; k < 4; ++k) fused.kernels[k].stores = {k};
  fused.kernels[0].after = {2, 2, 0};
  fused.kernels[2].after = {1};
  fused.kernel_of = {0, 1, 2, 3, -1};
  schedule(fused);
  std::vector<NodeId> order;
  for (const FusedKernel& kernel : fused.kernels) order.push_back(kernel.stores[0]);
  EXPECT_EQ(order, (std::vector<NodeId>{1, 2, 0, 3}));
  EXPECT_EQ(fused.kernel_of, (std::vector<int>{2, 0, 1, 3, -1}));
  EXPECT_EQ(fused.kernels[2].after, std::vector<int>{1});
}

// Three convolutions in a row: what the first leaves is dead when the third is written.
TEST(PlanMemory, DisjointLifetimesShareAnAddress) {
  Program program;
  Graph& graph = *program.graph;
  Tensor x = input(graph, "x", {1, 4, 4, 8});
  for (const char* name : {"a", "b", "c", "d"})
    x = conv2d(x, input(graph, name, {1, 1, 8, 8}), ConvAttr{});
  program.output("y", x);
  const Program ready = prepared(program);
  const FusedProgram fused = scheduled(ready);
  ASSERT_EQ(fused.kernels.size(), 4u) << listing(fused);
  const auto range = [&](const MemoryPlan& plan, size_t kernel) {
    return plan.place[fused.kernels[kernel].stores[0]];
  };
  const MemoryPlan shared = plan_memory(fused, true);
  EXPECT_EQ(range(shared, 0), range(shared, 2));
  EXPECT_NE(range(shared, 0), range(shared, 1));
  EXPECT_EQ(shared.arena_size, 2u * 4 * 4 * 8 * 4);
  EXPECT_EQ(range(shared, 3).space, BufferSpace::kExternal);
  const MemoryPlan separate = plan_memory(fused, false);
  EXPECT_NE(range(separate, 0), range(separate, 2));
  EXPECT_EQ(separate.arena_size, 3u * 4 * 4 * 8 * 4);
}

// Values of 512 bytes, of which two are alive at a time, where a piece of memory holds 700.
TEST(PlanMemory, NoValueLiesInTwoPieces) {
  Program program;
  Graph& graph = *program.graph;
  Tensor x = input(graph, "x", {1, 4, 4, 8});
  for (const char* name : {"a", "b", "c", "d"})
    x = conv2d(x, input(graph, name, {1, 1, 8, 8}), ConvAttr{});
  program.output("y", x);
  const Program ready = prepared(program);
  const FusedProgram fused = scheduled(ready);
  const MemoryPlan plan = plan_memory(fused, true, 700);
  EXPECT_EQ(plan.arena_piece, 640u);  // whole alignments
  EXPECT_EQ(plan.arena_size, 640u + 512);
  EXPECT_EQ(plan.place[fused.kernels[0].stores[0]].offset, 0u);
  EXPECT_EQ(plan.place[fused.kernels[1].stores[0]].offset, 640u);
  EXPECT_EQ(plan.too_large, kNoNode);
  // All in one piece where it holds them; and what no piece holds is named.
  EXPECT_EQ(plan_memory(fused, true, 1024).arena_piece, 0u);
  EXPECT_NE(plan_memory(fused, true, 500).too_large, kNoNode);
  const auto refused = compile(program, {.max_allocation_bytes = 500});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(refused.error().message.find("in one piece"), std::string::npos)
      << refused.error().message;
}

// `old` needs the whole of x for each of its elements, so the update may not come first, nor be
// merged with it.
TEST(PlanMemory, ADonatedInputIsOverwrittenAfterItsLastReader) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, "x", {16});
  program.update(x, x + 1.0);
  program.output("old", exp(sum(x, {0})));
  const Program ready = prepared(program);
  const FusedProgram fused = scheduled(ready);
  ASSERT_TRUE(fused.in_place[0]);
  const int update = fused.kernel_of[ready.outputs[0].value.id()];
  const int reader = fused.kernel_of[ready.outputs[1].value.id()];
  EXPECT_LT(reader, update) << listing(fused);
  const MemoryPlan plan = plan_memory(fused, true);
  EXPECT_TRUE(plan.copies.empty());
  EXPECT_EQ(plan.externals[static_cast<size_t>(external(plan, "x"))].role, ExternalRole::kState);
}

// Reversed in place, an element would be read after it is gone.
TEST(PlanMemory, AnUpdateThatReadsOtherElementsOfItsInputIsCopiedAtTheEnd) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, "x", {16});
  program.update(x, flip(x, {0}));
  const Program ready = prepared(program);
  const FusedProgram fused = scheduled(ready);
  EXPECT_FALSE(fused.in_place[0]);
  const MemoryPlan plan = plan_memory(fused, true);
  ASSERT_EQ(plan.copies.size(), 1u);
  EXPECT_EQ(plan.place[ready.outputs[0].value.id()].space, BufferSpace::kArena);
}

TEST(PlanMemory, PartsOfAConcatenationAreWrittenInPlace) {
  Program program;
  Graph& graph = *program.graph;
  std::vector<Tensor> parts;
  for (int64_t i = 1; i <= 5; ++i)
    parts.push_back(sum(input(graph, fmt::format("x{}", i), {8, 4 * i}), {0}));
  program.output("y", concat(parts, 0));
  const Program ready = prepared(program);
  const FusedProgram fused = scheduled(ready);
  const MemoryPlan plan = plan_memory(fused, true);
  EXPECT_EQ(plan.arena_size, 0u) << listing(fused);
  EXPECT_EQ(fused.placed.size(), 5u);
  for (const auto& [part, where] : fused.placed) {
    const BufferRange& range = plan.place[part];
    EXPECT_EQ(range.space, BufferSpace::kExternal);
    EXPECT_EQ(static_cast<int>(range.buffer), external(plan, "y"));
    EXPECT_EQ(range.offset, static_cast<uint64_t>(where.second) * 4);
  }
}

TEST(Compile, TensorsBeyondThirtyOneBitsAreRefusedByName) {
  Program program;
  Graph& graph = *program.graph;
  LabelScope scope(graph, "conv_in");
  program.output("y", sum(exp(input(graph, "x", {1 << 16, 1 << 16})), {0, 1}));
  const Result<Plan> plan = compile(program, cpu());
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(plan.error().message.find("conv_in"), std::string::npos) << plan.error().message;
}

TEST(RewriteDeathTest, KeepsShapesAndTypes) {
  Program program;
  Tensor x = input(*program.graph, "x", {4});
  program.output("y", exp(x));
  auto returning = [&](auto make) {
    return rewrite(program, [&](Graph&, Tensor old, std::span<const Tensor> inputs) {
      return old.graph().node(old.id()).op == Op::kExp ? make(inputs[0]) : Tensor();
    });
  };
  EXPECT_EQ(returning([](Tensor a) { return sin(a); }).outputs.size(), 1u);
  EXPECT_DEATH(returning([](Tensor a) { return reshape(a, {2, 2}); }), "changed the shape");
  EXPECT_DEATH(returning([](Tensor a) { return cast(a, DType::kI32); }),
               "changed the type of .* from f32 to i32");
}

}  // namespace
}  // namespace ito
