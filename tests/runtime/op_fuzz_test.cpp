// The device against the interpreter on random programs: every op by itself, graphs of many ops,
// fused and not, and gradients of gradients; each in the form for CPU drivers and in the form for
// GPUs. Guard bytes around all memory are checked by run_on_device.
#include <gtest/gtest.h>

#include <set>

#include "graph/builder.h"
#include "tests/support/random_programs.h"
#include "tests/support/vulkan_fixture.h"

namespace ito {
namespace {

using test::RandomCase;

constexpr uint64_t kSeeds = 3;
constexpr uint64_t kGraphs = 40;

// --gtest_random_seed=N gives other programs.
uint64_t first_seed() { return static_cast<uint64_t>(GTEST_FLAG_GET(random_seed)) * 1000; }

// What a GPU would be given, on whatever device there is.
DeviceCaps gpu_form(const DeviceCaps& caps) {
  DeviceCaps gpu = caps;
  gpu.is_cpu = false;
  return gpu;
}

std::string op_name(const ::testing::TestParamInfo<Op>& info) {
  return std::string(op_def(info.param).name);
}

std::vector<Op> all_ops() {
  std::vector<Op> ops;
  for (const OpDef& def : op_table()) ops.push_back(def.op);
  return ops;
}

class OpFuzz : public test::VulkanTest, public ::testing::WithParamInterface<Op> {};

TEST_P(OpFuzz, DeviceEqualsInterpreter) {
  const DeviceCaps gpu = gpu_form(device().caps());
  for (uint64_t seed = first_seed(); seed < first_seed() + kSeeds; ++seed) {
    const RandomCase test = test::make_op_case(GetParam(), seed);
    EXPECT_EQ(test::compare_with_interpreter(device(), test), "") << "seed " << seed;
    EXPECT_EQ(test::compare_with_interpreter(device(), test, {}, &gpu), "")
        << "seed " << seed << ", form for GPUs";
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpFuzz, ::testing::ValuesIn(all_ops()), op_name);

TEST(OpFuzzCensus, EveryOpOccursInItsOwnCase) {
  for (const OpDef& def : op_table()) {
    const RandomCase test = test::make_op_case(def.op, 0);
    std::set<Op> used;
    for (NodeId id = 0; id < test.program.graph->size(); ++id)
      used.insert(test.program.graph->node(id).op);
    EXPECT_TRUE(used.count(def.op)) << def.name << " has no case in make_op_case";
  }
}

class GraphFuzz : public test::VulkanTest {};

TEST_F(GraphFuzz, FusedAndUnfusedEqualTheInterpreter) {
  const DeviceCaps gpu = gpu_form(device().caps());
  for (uint64_t seed = first_seed(); seed < first_seed() + kGraphs; ++seed) {
    const RandomCase test = test::make_graph_case(seed, 6 + static_cast<int>(seed % 3) * 5);
    const CompileOptions plain = {.fuse = false, .reuse_memory = false};
    EXPECT_EQ(test::compare_with_interpreter(device(), test), "") << "seed " << seed;
    EXPECT_EQ(test::compare_with_interpreter(device(), test, {}, &gpu), "")
        << "seed " << seed << ", form for GPUs";
    if (seed % 3 == 0) {
      EXPECT_EQ(test::compare_with_interpreter(device(), test, plain), "")
          << "seed " << seed << ", not fused";
    }
  }
}

// Squared gradients of a loss, differentiated again.
void add_second_order(RandomCase& test, const std::string& name, Tensor loss,
                      const std::vector<Tensor>& wrt) {
  Tensor energy = loss;
  for (Tensor gradient : grad(loss, wrt)) energy = energy + sum_all(square(gradient));
  const std::vector<Tensor> second = grad(energy, wrt);
  for (Tensor gradient : second) test.output(name, gradient, 5e-5);
}

TEST_F(GraphFuzz, GradientsOfGradientsEqualTheInterpreter) {
  const DeviceCaps gpu = gpu_form(device().caps());
  for (int kind = 0; kind < 3; ++kind) {
    RandomCase test(static_cast<uint64_t>(kind));
    if (kind == 0) {
      const Tensor x = test.input({5, 7}), w = test.input({7, 13}), v = test.input({13, 3});
      add_second_order(test, "mlp", sum_all(square(matmul(tanh(matmul(x, w) * 0.4), v))), {x, w});
    } else if (kind == 1) {
      const Tensor x = test.input({2, 6, 5, 4}), w = test.input({3, 3, 4, 6});
      const Tensor gamma = test.input({6}), beta = test.input({6});
      const ConvAttr attr{.stride = {2, 1}, .pad = {1, 0, 1, 1}};
      const Tensor y = silu(group_norm(conv2d(x, w, attr), gamma, beta, 3, 1e-5));
      add_second_order(test, "conv", mean_all(square(y)), {x, w, gamma});
    } else {
      const Tensor q = test.input({2, 5, 8}), k = test.input({2, 7, 8}), v = test.input({2, 7, 8});
      add_second_order(test, "attention", mean_all(square(attention(q, k, v, 2, 0.5))), {q, k, v});
    }
    EXPECT_EQ(test::compare_with_interpreter(device(), test), "") << "kind " << kind;
    EXPECT_EQ(test::compare_with_interpreter(device(), test, {}, &gpu), "")
        << "kind " << kind << ", form for GPUs";
  }
}

}  // namespace
}  // namespace ito
