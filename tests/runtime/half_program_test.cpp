// Programs that multiply in 16 bits, on the device against the interpreter. Their inputs are
// halves, so that rounding them changes nothing (which way a driver rounds is its own choice) and
// the tolerance is that of f32 sums.
#include <cmath>
#include <random>

#include "base/half.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "graph/passes/passes.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito {
namespace {

using test::HostValues;

class HalfProgram : public test::VulkanTest {
 protected:
  void SetUp() override {
    test::VulkanTest::SetUp();
    if (!device().caps().shader_float16) GTEST_SKIP() << "the device has no 16-bit floats";
  }

  HostValue random(const Shape& shape) {
    HostValue value{shape, std::vector<double>(static_cast<size_t>(shape.numel()))};
    std::normal_distribution<float> normal;
    for (double& element : value.data) element = half_to_float(float_to_half(normal(random_)));
    return value;
  }

  // By the CPU's form and by the GPU's, which is that of matrices where the device has them.
  void expect_same(Program& program, const HostValues& inputs, double tolerance = 1e-5) {
    const auto expected = test::run_on_interpreter(autocast(program, DType::kF16), inputs);
    ASSERT_OK(expected);
    program.multiply = DType::kF16;
    DeviceCaps gpu = device().caps();
    gpu.is_cpu = false;
    gpu.compute_units = 64;     // which splits long reductions
    gpu.min_subgroup_size = 0;  // registers enough for matrices of any operand
    for (const DeviceCaps* caps : {static_cast<const DeviceCaps*>(nullptr), &std::as_const(gpu)}) {
      const auto actual = test::run_on_device(device(), program, inputs, {}, caps);
      ASSERT_OK(actual);
      for (const auto& [name, value] : *expected)
        EXPECT_LT(test::relative_error(actual->at(name).data, value.data), tolerance)
            << name << (caps ? " gpu form" : "");
    }
  }

  std::mt19937 random_{20261129};
};

TEST_F(HalfProgram, ConvolutionsInAllDirections) {
  for (const int64_t stride : {1, 2}) {
    Program program;
    Graph& g = *program.graph;
    const Tensor x = input(g, "x", {2, 9, 10, 6}), w = input(g, "w", {3, 3, 6, 11});
    ConvAttr attr;
    attr.stride = {stride, stride};
    attr.pad = {1, 1, 1, 1};
    const Tensor y = conv2d(x, w, attr);
    const Tensor weight = input(g, "weight", y.shape());
    const std::vector<Tensor> gradients = grad(sum_all(y * weight), {x, w});
    program.output("y", y);
    program.output("dx", gradients[0]);
    program.output("dw", gradients[1]);
    expect_same(
        program,
        {{"x", random(x.shape())}, {"w", random(w.shape())}, {"weight", random(y.shape())}});
  }
}

// Of inputs that are neither: a half is off by 2^-11 of itself at most (where a driver cuts off:
// 2^-10), a bfloat16 by 2^-9, so a sum by twice that of what its terms add up to without signs.
TEST_F(HalfProgram, GradientsAreWithinTheRoundingOfTheirFactors) {
  Program program, absolute;
  std::normal_distribution<double> normal;
  HostValues inputs, sizes;
  const auto add = [&](const char* name, const Shape& shape) {
    HostValue& value = inputs[name] = random(shape);
    for (double& element : value.data) element = static_cast<float>(normal(random_));
    sizes[name] = value;
    for (double& element : sizes[name].data) element = std::abs(element);
  };
  add("x", {2, 9, 10, 6});
  add("w", {3, 3, 6, 11});
  add("dy", {2, 9, 10, 11});
  add("a", {40, 21});
  add("b", {21, 17});
  add("dz", {40, 17});
  for (Program* p : {&program, &absolute}) {
    Graph& g = *p->graph;
    const Tensor x = input(g, "x", {2, 9, 10, 6}), w = input(g, "w", {3, 3, 6, 11});
    const Tensor y = conv2d(x, w, ConvAttr{.pad = {1, 1, 1, 1}});
    const Tensor a = input(g, "a", {40, 21}), b = input(g, "b", {21, 17}), z = matmul(a, b);
    const Tensor loss =
        sum_all(y * input(g, "dy", y.shape())) + sum_all(z * input(g, "dz", z.shape()));
    const std::vector<Tensor> gradients = grad(loss, {x, w, a, b});
    for (size_t i = 0; i < gradients.size(); ++i)
      p->output(std::string(1, "xwab"[i]) + "_gradient", gradients[i]);
  }
  ASSERT_OK_AND_ASSIGN(const HostValues exact, test::run_on_interpreter(program, inputs));
  ASSERT_OK_AND_ASSIGN(const HostValues bounds, test::run_on_interpreter(absolute, sizes));
  for (const auto& [type, bound] : {std::pair(DType::kF16, std::ldexp(1, -9)),
                                    std::pair(DType::kBF16, 1.01 * std::ldexp(1, -8))}) {
    program.multiply = type;
    ASSERT_OK_AND_ASSIGN(const HostValues found, test::run_on_device(device(), program, inputs));
    double largest = 0;
    for (const auto& [name, value] : exact)
      for (size_t i = 0; i < value.data.size(); ++i) {
        const double off =
            std::abs(found.at(name).data[i] - value.data[i]) / bounds.at(name).data[i];
        largest = std::max(largest, off);
        EXPECT_LE(off, bound) << name << " element " << i;
      }
    EXPECT_GT(largest, bound / 128) << "something was rounded";
  }
}

TEST_F(HalfProgram, MatrixProductsOfEveryTransposeBatched) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      Program program;
      Graph& g = *program.graph;
      const Tensor a = input(g, "a", ta ? Shape{3, 21, 13} : Shape{3, 13, 21});
      const Tensor b = input(g, "b", tb ? Shape{3, 17, 21} : Shape{3, 21, 17});
      program.output("y", silu(matmul(a, b, ta, tb)));
      expect_same(program, {{"a", random(a.shape())}, {"b", random(b.shape())}});
    }
}

TEST_F(HalfProgram, ALongReductionIsSplitAndAddedUpInF32) {
  Program program;
  Graph& g = *program.graph;
  const Tensor a = input(g, "a", {5000, 9}), b = input(g, "b", {5000, 7});
  program.output("y", matmul(a, b, true, false));
  expect_same(program, {{"a", random(a.shape())}, {"b", random(b.shape())}});
}

TEST_F(HalfProgram, AttentionRoundsItsProductsAndNotItsSoftmax) {
  Program program;
  Graph& g = *program.graph;
  const Tensor x = input(g, "x", {2, 9, 16}), w = input(g, "w", {16, 16});
  const Tensor q = matmul(reshape(x, {18, 16}), w);
  const Tensor scores = softmax(matmul(reshape(q, {2, 9, 16}), x, false, true));
  program.output("y", matmul(scores, x));
  // Products of products: what lies between two halves is rounded as the driver likes.
  expect_same(program, {{"x", random(x.shape())}, {"w", random(w.shape())}}, 5e-3);
}

TEST_F(HalfProgram, IsRefusedInOneLineWhereTheDeviceHasNoHalves) {
  Program program;
  Graph& g = *program.graph;
  program.output("y", matmul(input(g, "a", {4, 4}), input(g, "b", {4, 4})));
  program.multiply = DType::kF16;
  DeviceCaps caps = device().caps();
  caps.shader_float16 = false;
  const auto plan = compile(program, caps);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().message, "'" + caps.name +
                                      "' has no 16-bit floats (shaderFloat16); use --precision "
                                      "fp32 or bf16, or another device");
}

}  // namespace
}  // namespace ito
