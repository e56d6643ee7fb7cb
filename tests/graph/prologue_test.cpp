// The prologue of a plan: which calls it holds, what it keeps in memory, and when there is none.
#include "graph/passes/prologue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <vector>

#include "graph/builder.h"
#include "graph/compile.h"

namespace ito {
namespace {

DeviceCaps cpu() {
  DeviceCaps caps;
  caps.is_cpu = true;
  caps.subgroup_size = 16;
  caps.compute_units = 2;
  return caps;
}

constexpr int64_t kChannels = 64;
constexpr uint64_t kTransformed = 36 * kChannels * kChannels * sizeof(float);

// `layers` convolutions of 3x3, their weights in one tensor of parameters.
Program convolutions(int64_t n, int layers, bool update = false) {
  Program program;
  Graph& graph = *program.graph;
  const int64_t one = 9 * kChannels * kChannels;
  const Tensor flat = parameter_input(graph, "params", {layers * one});
  Tensor x = input(graph, "x", {n, 16, 16, kChannels});
  for (int k = 0; k < layers; ++k)
    x = silu(conv2d(
        x, reshape(slice_axis(flat, 0, k * one, (k + 1) * one), {3, 3, kChannels, kChannels}),
        ConvAttr{.pad = {1, 1, 1, 1}}));
  program.output("y", x);
  if (update) program.update(flat, flat * 0.5);
  return program;
}

Plan plan_of(const Program& program, const CompileOptions& options = {},
             const DeviceCaps& caps = cpu()) {
  Result<Plan> plan = compile(program, caps, options);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
  return plan.ok() ? std::move(*plan) : Plan();
}

// By word of the arena: the call that wrote it last.
using Writers = std::vector<size_t>;

// Runs calls [first, end); calls `read` with each word that one reads.
template <typename Read>
void replay(const Plan& plan, size_t first, size_t end, Writers& writers, Read read) {
  for (size_t c = first; c < end; ++c) {
    const KernelCall& call = plan.calls[c];
    for (const bool writes : {false, true})
      for (size_t a = 0; a < call.arguments.size(); ++a) {
        const BufferRange& range = call.arguments[a];
        if (range.space != BufferSpace::kArena ||
            ((writes ? call.writes : call.reads) >> a & 1) == 0)
          continue;
        for (size_t word = range.offset / 4; word < (range.offset + range.size) / 4; ++word)
          writes ? void(writers[word] = c) : read(word);
      }
  }
}

// In a second replay without the prologue each call reads what it read in the first; a barrier
// stands behind the prologue; and it reads nothing but parameters.
void check(const Plan& plan) {
  ASSERT_GT(plan.prologue, 0u);
  ASSERT_LT(plan.prologue, plan.calls.size());
  EXPECT_TRUE(plan.calls[plan.prologue].barrier_before);
  Writers writers(plan.arena_size / 4, SIZE_MAX);
  replay(plan, 0, plan.prologue, writers, [](size_t) {});
  std::vector<size_t> read;
  std::set<size_t> kept;
  replay(plan, plan.prologue, plan.calls.size(), writers, [&](size_t word) {
    read.push_back(writers[word]);
    EXPECT_NE(writers[word], SIZE_MAX) << "nobody wrote what is read";
    if (writers[word] < plan.prologue) kept.insert(word);
  });
  size_t at = 0, changed = 0;
  replay(plan, plan.prologue, plan.calls.size(), writers,
         [&](size_t word) { changed += read[at++] != writers[word]; });
  EXPECT_EQ(changed, 0u);
  EXPECT_GT(kept.size(), 0u);
  EXPECT_GE(plan.kept_bytes, kept.size() * 4);
  for (size_t c = 0; c < plan.prologue; ++c)
    for (const BufferRange& range : plan.calls[c].arguments)
      if (range.space == BufferSpace::kExternal) {
        EXPECT_EQ(plan.externals[range.buffer].name, "params");
      }
}

TEST(Prologue, HoldsWhatDependsOnParametersAlone) {
  const Plan plan = plan_of(convolutions(2, 3));
  check(plan);
  EXPECT_EQ(plan.kept_bytes, 3 * kTransformed);
  EXPECT_GT(plan.arena_size, plan.kept_bytes);
}

TEST(Prologue, IsNotThereWhereNothingSaysWhatAParameterIs) {
  Program plain;
  Graph& graph = *plain.graph;
  const Tensor w = input(graph, "w", {3, 3, kChannels, kChannels});
  plain.output("y",
               conv2d(input(graph, "x", {1, 16, 16, kChannels}), w, ConvAttr{.pad = {1, 1, 1, 1}}));
  EXPECT_EQ(plan_of(plain).prologue, 0u);
}

TEST(Prologue, IsNotThereWhereTheProgramUpdatesTheParameters) {
  const Plan plan = plan_of(convolutions(2, 2, true));
  EXPECT_EQ(plan.prologue, 0u);
  EXPECT_EQ(plan.kept_bytes, 0u);
}

TEST(Prologue, KeepsNoMoreThanItMay) {
  EXPECT_EQ(plan_of(convolutions(2, 4), {.prologue_bytes = 0}).prologue, 0u);
  const Plan some = plan_of(convolutions(2, 4), {.prologue_bytes = 5 * kTransformed / 2});
  check(some);
  EXPECT_EQ(some.kept_bytes, 2 * kTransformed);
  // A quarter of a device's memory at most.
  DeviceCaps small = cpu();
  small.memory_bytes = 4 * kTransformed;
  const Plan one = plan_of(convolutions(2, 4), {}, small);
  check(one);
  EXPECT_EQ(one.kept_bytes, kTransformed);
}

TEST(Prologue, IsTheSameWhateverTheBatchIs) {
  const Plan first = plan_of(convolutions(1, 2));
  for (const int64_t n : {3, 40}) {
    const Plan plan = plan_of(convolutions(n, 2));
    EXPECT_EQ(plan.prologue, first.prologue) << n;
    EXPECT_EQ(plan.kept_bytes, first.kept_bytes) << n;
  }
}

// A result of the program has a place that others may write to, and so is made anew each time.
TEST(Prologue, ResultsOfTheProgramAreNotInIt) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor a = parameter_input(graph, "params", {64, 64});
  const Tensor square = matmul(a, a);
  program.output("square", square);
  program.output("y", matmul(input(graph, "x", {5, 64}), matmul(square, a)));
  const Plan plan = plan_of(program);
  for (size_t c = 0; c < plan.prologue; ++c)
    for (size_t i = 0; i < plan.calls[c].arguments.size(); ++i)
      EXPECT_TRUE((plan.calls[c].writes >> i & 1) == 0 ||
                  plan.calls[c].arguments[i].space == BufferSpace::kArena);
}

// Sums and products of parameters, chains of them, and concatenations in which others have a part.
TEST(Prologue, WhateverDependsOnParametersIsKept) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor a = parameter_input(graph, "params", {64, 64});
  const Tensor x = input(graph, "x", {64, 64});
  const Tensor chain = matmul(matmul(a, a), exp(a));
  std::vector<Tensor> parts, mixed;
  for (int k = 0; k < 6; ++k) parts.push_back(matmul(a, a * static_cast<double>(k + 2)));
  for (int k = 0; k < 6; ++k) mixed.push_back(k % 2 == 0 ? x * static_cast<double>(k) : exp(a));
  program.output("y", matmul(x, chain) + matmul(x, softmax(a)));
  program.output("z", matmul(concat(parts, 0), x));
  program.output("u", matmul(concat(mixed, 0), x));
  for (const bool fuse : {true, false}) {
    SCOPED_TRACE(fuse);
    check(plan_of(program, {.fuse = fuse}));
    check(plan_of(program, {.fuse = fuse, .reuse_memory = false}));
    check(plan_of(program, {.fuse = fuse}, DeviceCaps()));
  }
}

}  // namespace
}  // namespace ito
