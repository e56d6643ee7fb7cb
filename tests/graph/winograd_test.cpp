// Winograd's form of convolutions: exact in double precision, its error in single precision, and
// when it is taken.
#include "graph/passes/winograd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "graph/builder.h"
#include "graph/interpret.h"
#include "graph/passes/passes.h"

namespace ito {
namespace {

DeviceCaps cpu() {
  DeviceCaps caps;
  caps.is_cpu = true;
  caps.subgroup_size = 16;
  caps.compute_units = 2;
  caps.max_allocation_bytes = uint64_t{2} << 30;
  return caps;
}

HostValue random_values(const Shape& shape, std::mt19937& rng) {
  std::normal_distribution<double> normal;
  HostValue value{shape, std::vector<double>(static_cast<size_t>(shape.numel()))};
  for (double& x : value.data) x = normal(rng);
  return value;
}

int transforms_in(const Program& program) {
  int count = 0;
  for (NodeId id = 0; id < program.graph->size(); ++id)
    count += program.graph->node(id).op == Op::kTileTransform;
  return count;
}

// y = conv(x, w) and, weighted with dy, its gradients.
Program convolution(const Shape& x, int64_t co, std::array<int64_t, 4> pad) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor image = input(graph, "x", x), w = input(graph, "w", {3, 3, x[3], co});
  const ConvAttr attr{.pad = pad};
  const Tensor y = conv2d(image, w, attr);
  const Tensor dy = input(graph, "dy", y.shape());
  program.output("y", y);
  program.output("dx", conv2d_grad_input(dy, w, x, attr));
  program.output("dw", conv2d_grad_weight(image, dy, w.shape(), attr));
  return program;
}

std::unordered_map<std::string, HostValue> values_for(const Program& program) {
  std::mt19937 rng(5);
  std::unordered_map<std::string, HostValue> values;
  for (NodeId id = 0; id < program.graph->size(); ++id) {
    const Node& node = program.graph->node(id);
    if (node.op == Op::kInput)
      values[std::get<InputAttr>(node.attrs).name] = random_values(node.shape, rng);
  }
  return values;
}

std::vector<HostValue> run(const Program& program,
                           const std::unordered_map<std::string, HostValue>& inputs) {
  std::vector<Tensor> outputs;
  for (const ProgramOutput& output : program.outputs) outputs.push_back(output.value);
  Result<std::vector<HostValue>> result = interpret(outputs, inputs);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? *result : std::vector<HostValue>();
}

TEST(Winograd, IsTheConvolutionInEveryDirection) {
  struct Case {
    Shape x;
    int64_t co;
    std::array<int64_t, 4> pad;
  };
  for (const Case& c : {Case{{2, 16, 16, 64}, 64, {1, 1, 1, 1}},     // whole tiles
                        Case{{1, 10, 13, 48}, 80, {1, 1, 1, 1}},     // and not
                        Case{{1, 12, 11, 70}, 64, {0, 2, 1, 0}}}) {  // uneven padding
    const Program direct = convolution(c.x, c.co, c.pad);
    const Program lowered = lower(direct, cpu());
    EXPECT_GE(transforms_in(lowered), 9) << c.x.to_string();
    const auto inputs = values_for(direct);
    const std::vector<HostValue> expected = run(direct, inputs), found = run(lowered, inputs);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      double largest = 0, error = 0;
      for (size_t k = 0; k < expected[i].data.size(); ++k) {
        largest = std::max(largest, std::abs(expected[i].data[k]));
        error = std::max(error, std::abs(found[i].data[k] - expected[i].data[k]));
      }
      EXPECT_LE(error, 1e-12 * largest) << direct.outputs[i].name << " of " << c.x.to_string();
    }
  }
}

TEST(Winograd, IsTakenWhereItPaysAndWhateverTheBatchIs) {
  const auto takes = [](const Shape& x, int64_t co, const DeviceCaps& caps) {
    return transforms_in(lower(convolution(x, co, {1, 1, 1, 1}), caps)) > 0;
  };
  for (const int64_t n : {1, 3, 64}) {
    EXPECT_TRUE(takes({n, 32, 32, 64}, 64, cpu())) << n;
    EXPECT_TRUE(takes({n, 8, 8, 256}, 256, cpu())) << n;
    EXPECT_FALSE(takes({n, 4, 4, 256}, 256, cpu())) << n;  // weights outweigh pictures
    EXPECT_FALSE(takes({n, 32, 32, 1}, 16, cpu())) << n;   // nothing to sum over
    EXPECT_FALSE(takes({n, 32, 32, 16}, 3, cpu())) << n;
  }
  DeviceCaps gpu = cpu();
  gpu.is_cpu = false;
  EXPECT_FALSE(takes({4, 32, 32, 64}, 64, gpu));
  DeviceCaps small = cpu();
  small.max_allocation_bytes = 1 << 20;  // the tiles would not fit in one piece
  EXPECT_FALSE(takes({4, 32, 32, 64}, 64, small));
}

TEST(Winograd, GradientsTransformPicturesAgain) {
  // A forward pass must not keep its tiles, which are larger than the pictures, for gradients.
  const Program lowered = lower(convolution({2, 16, 16, 64}, 64, {1, 1, 1, 1}), cpu());
  int copies = 0;
  for (NodeId id = 0; id < lowered.graph->size(); ++id) {
    const Node& node = lowered.graph->node(id);
    if (node.op != Op::kTileTransform) continue;
    copies += std::get<TileTransformAttr>(node.attrs).copy != 0;
  }
  EXPECT_EQ(copies, 1);
}

TEST(Winograd, StridesDilationsGroupsAndOtherSizesAreNot) {
  for (const ConvAttr& attr : {ConvAttr{.stride = {2, 2}, .pad = {1, 1, 1, 1}},
                               ConvAttr{.pad = {2, 2, 2, 2}, .dilation = {2, 2}},
                               ConvAttr{.pad = {1, 1, 1, 1}, .groups = 2},
                               ConvAttr{.pad = {1, 1, 1, 1}, .multiply = DType::kF16}}) {
    Program program;
    Graph& graph = *program.graph;
    const Tensor x = input(graph, "x", {1, 32, 32, 64});
    program.output("y", conv2d(x, input(graph, "w", {3, 3, 64 / attr.groups, 64}), attr));
    EXPECT_EQ(transforms_in(lower(program, cpu())), 0) << attrs_to_string(attr);
  }
}

}  // namespace
}  // namespace ito
