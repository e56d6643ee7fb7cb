// Dispatches of several kernels, and reductions whose workgroups go on with what they have summed:
// on the device against the interpreter, in the form for CPU drivers and in that for GPUs, at
// shapes that are odd, and independent of the batch. Guard bytes are checked by run_on_device.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "graph/builder.h"
#include "tests/graph/op_cases.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito {
namespace {

using test::HostValues;

constexpr double kTolerance = 2e-5;

class Joined : public test::VulkanTest {
 protected:
  Tensor operand(const std::string& name, const Shape& shape, double low = -1, double high = 1) {
    HostValue value = test::random_value(shape, low, high, rng_);
    for (double& v : value.data) v = static_cast<float>(v);
    inputs_[name] = std::move(value);
    return input(*program_.graph, name, shape);
  }

  std::vector<DeviceCaps> forms() const {
    DeviceCaps gpu = device().caps();
    gpu.is_cpu = false;
    gpu.min_subgroup_size = 32;
    return {device().caps(), gpu};
  }

  // Whatever the form, the interpreter's results, and the same ones again from the same buffers.
  void compare(double tolerance = kTolerance) {
    ASSERT_OK_AND_ASSIGN(const HostValues expected, test::run_on_interpreter(program_, inputs_));
    for (const DeviceCaps& caps : forms()) {
      ASSERT_OK_AND_ASSIGN(const HostValues actual,
                           test::run_on_device(device(), program_, inputs_, {}, &caps));
      ASSERT_OK_AND_ASSIGN(const HostValues again,
                           test::run_on_device(device(), program_, inputs_, {}, &caps, 2));
      for (const auto& [name, value] : expected) {
        EXPECT_LE(test::relative_error(actual.at(name).data, value.data), tolerance)
            << name << (caps.is_cpu ? "" : " in the form for GPUs");
        EXPECT_EQ(actual.at(name).data, again.at(name).data) << name;
      }
    }
  }

  size_t calls(const DeviceCaps& caps) const {
    return compile(program_, caps).value().calls.size();
  }

  std::mt19937 rng_{7};
  Program program_;
  HostValues inputs_;
};

// Maps, sums and products of several sizes that do not depend on each other, with equal and unequal
// texts; more arguments than are pushed.
TEST_F(Joined, IndependentKernelsAreOneDispatchOfEachKind) {
  for (int i = 0; i < 9; ++i) {
    const std::string n = std::to_string(i);
    const Tensor x = operand("x" + n, {7 + i % 3, 13});
    const Tensor y = operand("y" + n, {7 + i % 3, 13});
    program_.output("map" + n, exp(x) * y);
    program_.output("rows" + n, sum(x * y, {1}));
    program_.output("columns" + n, sum(square(y), {0}));
    const Tensor a = operand("a" + n, {5, 11}), b = operand("b" + n, {11, 6});
    program_.output("product" + n, matmul(a, b));
  }
  for (const DeviceCaps& caps : forms()) EXPECT_LE(calls(caps), 9u * 4 / 3);
  compare();
}

// The text of a row's sum, or of a product per batch entry, does not say how many there are.
TEST_F(Joined, KernelsOfOneTextMayHaveMoreOrFewerWorkgroups) {
  for (const int64_t many : {20, 3, 165}) {
    const std::string n = std::to_string(many);
    const Tensor x = operand("x" + n, {many, 40});
    program_.output("sum" + n, sum(square(x), {1}));
    const Tensor a = operand("a" + n, {many, 4, 8}), b = operand("b" + n, {many, 8, 16});
    program_.output("product" + n, matmul(a, b));
  }
  compare();
}

// What a joined dispatch makes is read by the next one, and an input is replaced after its readers.
TEST_F(Joined, DependenciesAreKept) {
  const Tensor state = operand("state", Shape{33});
  Tensor total = sum(state, {0});
  for (int i = 0; i < 6; ++i) {
    const Tensor x = operand("x" + std::to_string(i), {33, 5});
    total = total + sum(sum(x, {1}) * state, {0}) * (0.5 + i);
  }
  program_.output("total", total);
  program_.output("shifted", state + total);
  ASSERT_OK_AND_ASSIGN(const HostValues expected, test::run_on_interpreter(program_, inputs_));
  program_.update(state, state * 0.5 + total);
  for (const DeviceCaps& caps : forms()) {
    ASSERT_OK_AND_ASSIGN(const HostValues actual,
                         test::run_on_device(device(), program_, inputs_, {}, &caps));
    for (const auto& [name, value] : expected)
      EXPECT_LE(test::relative_error(actual.at(name).data, value.data), kTolerance) << name;
    for (size_t i = 0; i < 33; ++i)
      EXPECT_NEAR(actual.at("state").data[i],
                  inputs_.at("state").data[i] * 0.5 + expected.at("total").data[0], 1e-4);
  }
}

// Sums of columns: few and many, prime, more than a tile holds; rows that divide nothing.
TEST_F(Joined, SumsOfColumnsOfAnyShape) {
  int i = 0;
  for (const int64_t rows : {16, 17, 100, 1031})
    for (const int64_t columns : {2, 6, 32, 50, 97, 192, 509}) {
      const std::string n = std::to_string(i++);
      const Tensor x = operand("x" + n, {3, rows, columns});
      program_.output("sum" + n, sum(x, {1}));
      program_.output("square" + n, sum(square(x), {0, 1}));
      program_.output("max" + n, max(x, {1}));
    }
  compare();
}

// Group norms, whose statistics are such sums added up again, and their gradients.
TEST_F(Joined, NormsOfAnyShape) {
  struct Case {
    Shape shape;
    int64_t groups;
  };
  int i = 0;
  for (const Case& c : {Case{{2, 5, 7, 12}, 4}, Case{{1, 8, 8, 96}, 32}, Case{{3, 4, 4, 6}, 1},
                        Case{{2, 9, 3, 66}, 3}, Case{{2, 33, 31, 16}, 8}, Case{{2, 2, 3, 8}, 2},
                        Case{{2, 4, 5, 194}, 2}}) {
    const std::string n = std::to_string(i++);
    const Tensor x = operand("x" + n, c.shape);
    const Tensor gamma = operand("gamma" + n, Shape{c.shape[-1]}, 0.5, 1.5);
    const Tensor beta = operand("beta" + n, Shape{c.shape[-1]});
    const Tensor y = silu(group_norm(x, gamma, beta, c.groups, 1e-5));
    const Tensor weight = operand("dy" + n, c.shape, 0.5, 1.5);
    const std::vector<Tensor> gradients = grad(sum_all(y * weight), {x, gamma, beta});
    program_.output("y" + n, y);
    for (size_t g = 0; g < gradients.size(); ++g)
      program_.output("d" + std::to_string(g) + "_" + n, gradients[g]);
  }
  compare();
}

// In the form for GPUs one kernel takes the statistics and writes what is made of them, padded too,
// where a workgroup's part is small; and so with the gradient.
TEST_F(Joined, ASmallNormIsOneKernel) {
  const auto calls_of = [&](int64_t size, bool gradient) {
    Program program;
    const Tensor x = input(*program.graph, "x", {2, size, size, 64});
    const Tensor gamma = input(*program.graph, "gamma", Shape{64});
    const Tensor beta = input(*program.graph, "beta", Shape{64});
    const Tensor y = silu(group_norm(x, gamma, beta, 16, 1e-5));
    if (gradient)
      program.output("dx", grad(sum_all(square(y)), {x})[0]);
    else
      program.output("y", pad(y, {0, 1, 1, 0}, {0, 1, 1, 0}));
    return compile(program, forms()[1]).value().calls.size();
  };
  EXPECT_EQ(calls_of(8, false), 1u);
  EXPECT_GT(calls_of(64, false), 1u);
  EXPECT_LT(calls_of(8, true), calls_of(64, true));
}

// Kernels that go on with their sums write what is made of their own columns' sums only: what reads
// those of other columns, other matrices or rows must wait for all of them.
TEST_F(Joined, WhatReadsSumsOfOthersIsCorrect) {
  const Shape shape{3, 17, 32};
  const Tensor x = operand("x", shape, 0.5, 1.5);
  const Tensor totals = sum(x, {1});                                    // [3, 32]
  const Tensor groups = sum(reshape(totals * totals, {3, 8, 4}), {2});  // [3, 8]
  const auto spread = [&](const Tensor& sums) {
    return broadcast_to(reshape(sums, {3, 1, 32}), shape);
  };
  const auto spread_groups = [&](const Tensor& sums) {
    return reshape(broadcast_to(reshape(sums, {3, 1, 8, 1}), {3, 17, 8, 4}), shape);
  };
  program_.output("own", x / spread(totals));
  program_.output("own groups", exp(x) / spread_groups(groups));
  program_.output("both", x * spread(totals) - spread_groups(groups));
  program_.output("other columns", x / spread(flip(totals, {1})));
  program_.output(
      "other images",
      x / spread(concat({slice_axis(totals, 0, 1, 3), slice_axis(totals, 0, 0, 1)}, 0)));
  program_.output("interleaved",
                  x * reshape(broadcast_to(reshape(groups, {3, 1, 1, 8}), {3, 17, 4, 8}), shape));
  program_.output("transposed",
                  reshape(x, {3, 32, 17}) * broadcast_to(reshape(totals, {3, 32, 1}), {3, 32, 17}));
  program_.output("padded", pad(x - spread(totals), {0, 2, 0}, {0, 1, 0}));
  program_.output("moved", x - slice_axis(pad(spread(totals), {0, 0, 1}, {0, 0, 0}), 2, 0, 32));
  compare();
}

// Statistics in one pass, of values whose squares are a million times their variance.
TEST_F(Joined, ANormOfValuesFarFromZeroLosesNothing) {
  const Tensor x = operand("x", {2, 16, 16, 32}, 999, 1001);
  const Tensor one = operand("one", Shape{32}, 1, 1), zero = operand("zero", Shape{32}, 0, 0);
  program_.output("y", group_norm(x, one, zero, 8, 1e-5));
  program_.output("z", layer_norm(x, one, zero, 1e-5));
  compare(1e-3);  // of x itself, 1000 in single precision, 6e-5 are lost
}

// A convolution's gradients, which read the weight backwards and the padded gradient of others.
TEST_F(Joined, ConvolutionsBehindEachOther) {
  Tensor x = operand("x", {2, 7, 6, 5});
  std::vector<Tensor> leaves = {x};
  for (int i = 0; i < 3; ++i) {
    const std::string n = std::to_string(i);
    const int64_t k = i == 1 ? 5 : 3, in = x.dim(3), out = 4 + 3 * i;
    const Tensor w = operand("w" + n, {k, i == 2 ? 1 : k, in, out});
    const Tensor b = operand("b" + n, Shape{out});
    ConvAttr conv;
    conv.pad = {k / 2, k / 2, i == 2 ? 0 : k / 2, i == 2 ? 0 : k / 2};
    x = silu(conv2d(x, w, conv) * 0.3 + b);
    leaves.push_back(w);
    leaves.push_back(b);
  }
  program_.output("y", x);
  const std::vector<Tensor> gradients = grad(sum_all(square(x)), leaves);
  for (size_t g = 0; g < gradients.size(); ++g)
    program_.output("d" + std::to_string(g), gradients[g]);
  compare();
}

// Each image of a batch as it is alone, to the bit.
TEST_F(Joined, ANormDoesNotDependOnTheBatch) {
  const Shape whole{3, 20, 20, 24};
  const auto make = [](int64_t batch) {
    Program program;
    const Tensor x = input(*program.graph, "x", {batch, 20, 20, 24});
    const Tensor one = full(*program.graph, Shape{24}, 1.0),
                 zero = full(*program.graph, Shape{24}, 0.0);
    const Tensor y = silu(group_norm(x, one, zero, 6, 1e-5));
    program.output("y", y);
    program.output("dx", grad(sum_all(square(y)), {x})[0]);
    return program;
  };
  operand("x", whole);
  const std::vector<double>& all = inputs_.at("x").data;
  const size_t size = all.size() / 3;
  for (const DeviceCaps& caps : forms()) {
    ASSERT_OK_AND_ASSIGN(const HostValues together,
                         test::run_on_device(device(), make(3), inputs_, {}, &caps));
    for (size_t i = 0; i < 3; ++i) {
      HostValues alone;
      alone["x"] = {{1, 20, 20, 24},
                    {all.begin() + static_cast<std::ptrdiff_t>(i * size),
                     all.begin() + static_cast<std::ptrdiff_t>((i + 1) * size)}};
      ASSERT_OK_AND_ASSIGN(const HostValues one,
                           test::run_on_device(device(), make(1), alone, {}, &caps));
      for (const auto& [name, value] : one)
        EXPECT_TRUE(
            std::equal(value.data.begin(), value.data.end(),
                       together.at(name).data.begin() + static_cast<std::ptrdiff_t>(i * size)))
            << name << " " << i << (caps.is_cpu ? "" : " in the form for GPUs");
    }
  }
}

}  // namespace
}  // namespace ito
