// How attention is compiled: what the plan allocates, which kernels it has, and where it falls
// back to matrix products.
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/builder.h"
#include "graph/compile.h"
#include "graph/program.h"

namespace ito {
namespace {

DeviceCaps cpu() {
  DeviceCaps caps;
  caps.is_cpu = true;
  caps.subgroup_size = 16;
  caps.subgroup_arithmetic = true;
  return caps;
}

// Self-attention over [1, tokens, channels], with all gradients or without.
Program attention_program(int64_t tokens, int64_t channels, int64_t heads, bool gradients) {
  Program program;
  Graph& g = *program.graph;
  const Shape shape{1, tokens, channels};
  Tensor q = input(g, "q", shape), k = input(g, "k", shape), v = input(g, "v", shape);
  Tensor y = attention(q, k, v, heads, 0.125);
  program.output("y", y);
  if (!gradients) return program;
  const std::vector<Tensor> d = grad(sum_all(y * input(g, "dy", shape)), {q, k, v});
  program.output("dq", d[0]);
  program.output("dk", d[1]);
  program.output("dv", d[2]);
  return program;
}

Plan plan_of(const Program& program, const DeviceCaps& caps,
             AttentionForm form = AttentionForm::kFastest) {
  Result<Plan> plan = compile(program, caps, {.attention = form});
  if (!plan.ok()) {
    ADD_FAILURE() << plan.error().message;
    return {};
  }
  return std::move(*plan);
}

int kernels_named(const Plan& plan, std::string_view part) {
  return static_cast<int>(std::count_if(
      plan.kernels.begin(), plan.kernels.end(),
      [&](const Kernel& kernel) { return kernel.name.find(part) != std::string::npos; }));
}

TEST(AttentionPlan, LongAttentionStoresNoScores) {
  constexpr uint64_t kTokens = 4096;
  const Program program = attention_program(kTokens, 64, 1, true);
  for (const DeviceCaps& caps : {cpu(), DeviceCaps{}}) {
    const Plan plan = plan_of(program, caps);
    // The log-sum-exp and the row sums of dy * y.
    EXPECT_LE(plan.arena_size, 3 * kTokens * sizeof(float));
    for (const KernelCall& call : plan.calls)
      for (const BufferRange& range : call.arguments)
        EXPECT_LT(range.size, kTokens * kTokens * sizeof(float));
  }
  EXPECT_GE(plan_of(program, cpu(), AttentionForm::kDecomposed).arena_size,
            kTokens * kTokens * sizeof(float));
}

TEST(AttentionPlan, OneWalkGivesOutputAndLseAndOneGivesBothKeyGradients) {
  const Plan plan = plan_of(attention_program(64, 64, 1, true), cpu(), AttentionForm::kKernel);
  EXPECT_EQ(kernels_named(plan, "attention_and_attention_lse"), 1);
  EXPECT_EQ(kernels_named(plan, "attention_grad_q"), 1);
  EXPECT_EQ(kernels_named(plan, "attention_grad_k_and_attention_grad_v"), 1);
  EXPECT_EQ(kernels_named(plan, "contract"), 0);
}

TEST(AttentionPlan, WideHeadsAreDecomposed) {
  const Plan plan = plan_of(attention_program(64, 256, 1, true), cpu(), AttentionForm::kKernel);
  EXPECT_EQ(kernels_named(plan, "attention"), 0);
  EXPECT_EQ(
      kernels_named(plan_of(attention_program(64, 256, 2, true), cpu(), AttentionForm::kKernel),
                    "attention"),
      3);
}

TEST(AttentionPlan, KernelsStartWhereTheyAreFaster) {
  const auto kernels = [](int64_t tokens, bool gradients) {
    return kernels_named(plan_of(attention_program(tokens, 64, 1, gradients), cpu()), "attention");
  };
  EXPECT_EQ(kernels(32, false), 0);
  EXPECT_EQ(kernels(64, false), 1);
  EXPECT_EQ(kernels(128, true), 0);
  EXPECT_EQ(kernels(256, true), 3);
}

// Differentiating the gradients decomposes them: the scores are in memory whatever the rest does.
TEST(AttentionPlan, SecondOrderUsesTheScoresItHas) {
  Program program;
  Graph& g = *program.graph;
  const Shape shape{1, 1024, 64};
  Tensor q = input(g, "q", shape), k = input(g, "k", shape), v = input(g, "v", shape);
  Tensor y = attention(q, k, v, 1, 0.125);
  Tensor dq = grad(sum_all(square(y)), {q})[0];
  program.output("ddk", grad(sum_all(square(dq)), {k})[0]);
  EXPECT_EQ(kernels_named(plan_of(program, cpu()), "attention"), 0);
}

TEST(AttentionPlan, EveryKernelFitsTheSmallestDevice) {
  const DeviceCaps caps;
  for (int64_t channels : {1, 40, 64, 128}) {
    const Plan plan =
        plan_of(attention_program(4096, channels, 1, true), caps, AttentionForm::kKernel);
    for (const Kernel& kernel : plan.kernels) {
      if (kernel.name.find("attention") == std::string::npos) continue;
      EXPECT_LE(kernel.local_size[0], caps.max_workgroup_invocations);
      size_t floats = 0;
      for (size_t at = kernel.glsl.find("shared float"); at != std::string::npos;
           at = kernel.glsl.find("shared float", at + 1))
        floats += std::stoul(kernel.glsl.substr(kernel.glsl.find('[', at) + 1));
      EXPECT_GT(floats, 0u);
      EXPECT_LE(floats * sizeof(float), caps.shared_memory_bytes);
      EXPECT_EQ(kernel.glsl.find("subgroup"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace ito
