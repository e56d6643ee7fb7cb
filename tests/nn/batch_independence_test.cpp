// An image's bits must not depend on how many images are computed with it: no order of summation
// may follow from the size of the batch.
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"
#include "nn/unet2d.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"
#include "torch_random.h"

namespace ito {
namespace {

// Large enough that reductions are done in stages and contractions are worth splitting.
UNet2DConfig network() {
  UNet2DConfig config;
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {16, 64};
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "UpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 8;
  config.num_class_embeds = 3;
  return config;
}

constexpr int64_t kSize = 32;

// The network, the slope of a sum of its outputs, as guidance computes it, and a norm per image.
Program program_of(int64_t batch, const ParameterSet& set) {
  Program program;
  Graph& graph = *program.graph;
  const Scope scope(set, input(graph, "weights", Shape{set.size()}));
  const Tensor x = input(graph, "x", {batch, kSize, kSize, 1});
  const Tensor t = input(graph, "t", Shape{batch});
  const Tensor labels = input(graph, "labels", Shape{batch}, DType::kU32);
  const Tensor out = unet2d(scope, network(), x, t, labels);
  program.output("out", out);
  program.output("slope", grad(sum_all(square(out)), {x})[0]);
  program.output("norm", sum(square(x), {1, 2, 3}));
  return program;
}

struct Summation {
  Op op;
  int64_t terms;
  bool operator==(const Summation&) const = default;
};

// Every sum of the lowered program with its number of terms, in order.
std::vector<Summation> summations(const Program& program, const DeviceCaps& caps) {
  const Program lowered =
      canonicalize(lower(decompose(canonicalize(program), caps, AttentionForm::kFastest), caps));
  const Graph& graph = *lowered.graph;
  const std::vector<bool> live = live_nodes(lowered);
  std::vector<Summation> sums;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!live[id]) continue;
    if (node.op == Op::kReduceSum)
      sums.push_back({node.op, graph.node(node.inputs[0]).shape.numel() / node.shape.numel()});
    if (node.op != Op::kContract) continue;
    int64_t terms = 1;
    for (const ContractAttr::Dim& dim : std::get<ContractAttr>(node.attrs).dims)
      if (dim.reduced()) terms *= dim.size;
    sums.push_back({node.op, terms});
  }
  return sums;
}

TEST(BatchIndependence, SumsAreSplitAlikeForEveryBatch) {
  const ParameterSet set = unet2d_parameters(network()).value();
  std::vector<DeviceCaps> devices(3);
  devices[0].is_cpu = devices[1].is_cpu = true;
  devices[0].subgroup_size = 8;
  devices[1].subgroup_size = 16;
  devices[0].compute_units = devices[1].compute_units = 2;
  devices[2].compute_units = 132;
  for (const DeviceCaps& caps : devices) {
    const std::vector<Summation> alone = summations(program_of(1, set), caps);
    EXPECT_GT(alone.size(), 50u);
    for (int64_t batch : {2, 16, 64})
      EXPECT_EQ(summations(program_of(batch, set), caps), alone)
          << batch << " images, " << (caps.is_cpu ? "CPU" : "GPU");
  }
}

class BatchIndependenceOnDevice : public test::VulkanTest {};

TEST_F(BatchIndependenceOnDevice, AnImageIsTheSameInEveryBatch) {
  const ParameterSet set = unet2d_parameters(network()).value();
  const std::vector<float> weights = initial_parameters(set, 0);
  constexpr int64_t kBatch = 2;
  TorchRandom random(5);
  const std::vector<float> noise = random.normal(kBatch * kSize * kSize);
  // Images [first, first + count) in a batch of their own.
  const auto run = [&](int64_t first, int64_t count) {
    const auto begin = noise.begin() + first * kSize * kSize;
    test::HostValues inputs;
    inputs["weights"] = {Shape{set.size()}, {weights.begin(), weights.end()}};
    inputs["x"] = {{count, kSize, kSize, 1}, {begin, begin + count * kSize * kSize}};
    inputs["t"] = {Shape{count}, {}};
    inputs["labels"] = {Shape{count}, {}};
    for (int64_t i = first; i < first + count; ++i) {
      inputs["t"].data.push_back(static_cast<double>(300 * i));
      inputs["labels"].data.push_back(static_cast<double>(i));
    }
    return test::run_on_device(device(), program_of(count, set), inputs);
  };
  ASSERT_OK_AND_ASSIGN(const test::HostValues all, run(0, kBatch));
  for (int64_t i = 0; i < kBatch; ++i) {
    ASSERT_OK_AND_ASSIGN(const test::HostValues alone, run(i, 1));
    for (const auto& [name, value] : alone) {
      const auto begin = all.at(name).data.begin() + i * value.shape.numel();
      EXPECT_TRUE(std::equal(value.data.begin(), value.data.end(), begin)) << name << " " << i;
    }
  }
}

}  // namespace
}  // namespace ito
