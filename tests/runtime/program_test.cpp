// Whole programs: compiled, fused, placed in memory and run on the device, against the interpreter.
#include <random>

#include "graph/builder.h"
#include "graph/compile.h"
#include "runtime/executor.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito {
namespace {

using test::HostValues;

class ProgramTest : public test::VulkanTest {
 protected:
  HostValue random(Shape shape, double scale = 1) {
    HostValue value{shape, std::vector<double>(static_cast<size_t>(shape.numel()))};
    std::normal_distribution<float> normal(0, static_cast<float>(scale));
    for (double& element : value.data) element = normal(random_);
    return value;
  }

  void expect_same(const Program& program, const HostValues& inputs, double tolerance) {
    auto expected = test::run_on_interpreter(program, inputs);
    ASSERT_OK(expected);
    DeviceCaps gpu = device().caps();
    gpu.is_cpu = false;
    for (const DeviceCaps* caps :
         {static_cast<const DeviceCaps*>(nullptr), static_cast<const DeviceCaps*>(&gpu)}) {
      for (bool fused : {true, false}) {
        CompileOptions options;
        options.fuse = fused;
        options.reuse_memory = fused;
        auto actual = test::run_on_device(device(), program, inputs, options, caps);
        ASSERT_OK(actual);
        for (const auto& [name, value] : *expected)
          EXPECT_LT(test::relative_error(actual->at(name).data, value.data), tolerance)
              << name << (fused ? " fused" : " unfused") << (caps ? " gpu form" : "");
      }
    }
  }

  std::mt19937 random_{20260101};
};

TEST_F(ProgramTest, GroupNormSiluAndItsGradientMatchTheInterpreter) {
  Program program;
  Graph& g = *program.graph;
  Tensor x = input(g, "x", {3, 5, 7, 24});
  Tensor gamma = input(g, "gamma", {24});
  Tensor beta = input(g, "beta", {24});
  Tensor weight = input(g, "weight", {3, 5, 7, 24});
  Tensor y = silu(group_norm(x, gamma, beta, 4, 1e-5));
  Tensor loss = sum_all(y * weight);
  auto gradients = grad(loss, {x, gamma, beta});
  program.output("y", y);
  program.output("loss", loss);
  program.output("dx", gradients[0]);
  program.output("dgamma", gradients[1]);
  program.output("dbeta", gradients[2]);
  expect_same(program,
              {{"x", random({3, 5, 7, 24})},
               {"gamma", random({24})},
               {"beta", random({24})},
               {"weight", random({3, 5, 7, 24})}},
              1e-5);
}

TEST_F(ProgramTest, ConvolutionAndItsGradientsMatchTheInterpreter) {
  for (int64_t stride : {1, 2}) {
    Program program;
    Graph& g = *program.graph;
    Tensor x = input(g, "x", {2, 9, 8, 5});
    Tensor w = input(g, "w", {3, 3, 5, 18});
    Tensor b = input(g, "b", {18});
    ConvAttr attr;
    attr.stride = {stride, stride};
    attr.pad = {1, 1, 1, 1};
    Tensor y = silu(conv2d(x, w, attr) + b);
    auto gradients = grad(sum_all(square(y)), {x, w, b});
    program.output("y", y);
    program.output("dx", gradients[0]);
    program.output("dw", gradients[1]);
    program.output("db", gradients[2]);
    expect_same(program,
                {{"x", random({2, 9, 8, 5})}, {"w", random({3, 3, 5, 18})}, {"b", random({18})}},
                1e-5);
  }
}

TEST_F(ProgramTest, ParametersInOneTensorAreUpdatedInPlace) {
  // Two layers whose weights are slices of one donated tensor; gradients gathered by a
  // concatenation; one update for all.
  Program program;
  Graph& g = *program.graph;
  Tensor params = input(g, "params", {4 * 8 + 16 + 8 * 3 + 3 + 5});
  Tensor x = input(g, "x", {10, 4});
  Tensor w1 = reshape(slice_axis(params, 0, 0, 32), {4, 8});
  Tensor b1 = slice_axis(params, 0, 32, 40);
  Tensor w2 = reshape(slice_axis(params, 0, 48, 72), {8, 3});
  Tensor b2 = slice_axis(params, 0, 72, 75);
  Tensor y = linear(silu(linear(x, w1, b1)), w2, b2);
  Tensor loss = mean_all(square(y));
  auto gradients = grad(loss, {w1, b1, w2, b2});
  Tensor flat = concat({reshape(gradients[0], {32}), gradients[1], full(g, {8}, 0),
                        reshape(gradients[2], {24}), gradients[3], full(g, {5}, 0)},
                       0);
  Tensor norm = sqrt(sum_all(square(flat)));
  Tensor moment = input(g, "moment", params.shape());
  Tensor next_moment = moment * 0.9 + flat * 0.1;
  program.update(moment, next_moment);
  program.update(params, params - next_moment / (norm + 1.0));
  program.output("loss", loss);
  expect_same(program,
              {{"params", random(params.shape())},
               {"moment", random(params.shape())},
               {"x", random({10, 4})}},
              1e-5);
}

TEST_F(ProgramTest, AStateReadByItsNeighboursIsCopiedNotOverwritten) {
  Program program;
  Graph& g = *program.graph;
  Tensor x = input(g, "x", {1000});
  program.update(x, flip(x, {0}) * 2.0);
  expect_same(program, {{"x", random({1000})}}, 1e-6);
}

TEST_F(ProgramTest, LongReductionsAgreeOverEveryAxisSet) {
  Shape shape{4, 33, 5, 40};
  Program program;
  Graph& g = *program.graph;
  Tensor x = input(g, "x", shape);
  int next = 0;
  for (int mask = 1; mask < 16; ++mask) {
    std::vector<int64_t> axes;
    for (int i = 0; i < 4; ++i)
      if (mask >> i & 1) axes.push_back(i);
    program.output("sum" + std::to_string(next), sum(square(x), axes));
    program.output("max" + std::to_string(next++), max(x, axes));
  }
  expect_same(program, {{"x", random(shape)}}, 1e-5);
}

// A long sum that is split over the workers is added up in one order, however the device is given
// the work: in one submission, or in several whose workgroups come in other company.
TEST_F(ProgramTest, SplitReductionsAreBitIdenticalHoweverTheyAreSubmitted) {
  constexpr int64_t kTerms = 30000;
  Program program;
  Graph& g = *program.graph;
  program.output("y", matmul(input(g, "a", {kTerms, 12}), input(g, "b", {kTerms, 20}), true));
  DeviceCaps caps = device().caps();
  caps.compute_units = 8;  // asks for a split wherever this runs
  ASSERT_OK_AND_ASSIGN(Plan plan, compile(program, caps, {}));
  ASSERT_GE(plan.calls.size(), 2u) << "the sum is not split";

  std::vector<float> a, b;
  for (const double x : random({kTerms, 12}).data) a.push_back(static_cast<float>(x));
  for (const double x : random({kTerms, 20}).data) b.push_back(static_cast<float>(x));
  float forwards = 0, backwards = 0;
  for (size_t k = 0; k < kTerms; ++k) {
    forwards += a[k * 12] * b[k * 20];
    backwards += a[(kTerms - 1 - k) * 12] * b[(kTerms - 1 - k) * 20];
  }
  ASSERT_NE(forwards, backwards) << "in these sums the order must matter";

  auto result = [&](double pretended_flops, size_t least_slices) {
    for (KernelCall& call : plan.calls)
      if (pretended_flops > 0) call.flops = static_cast<uint64_t>(pretended_flops);
    auto executor = Executor::create(device(), plan, {.max_submit_ms = 1000});
    EXPECT_TRUE(executor.ok());
    EXPECT_TRUE((*executor)->write("a", a).ok() && (*executor)->write("b", b).ok());
    EXPECT_TRUE((*executor)->run().ok());
    if (device().caps().is_cpu) {  // elsewhere the first replay measures nothing
      EXPECT_GE((*executor)->slice_count(), least_slices);
    }
    return (*executor)->read<float>("y").value();
  };
  const std::vector<float> once = result(0, 1);
  ASSERT_EQ(once.size(), 240u);
  for (const double flops : {2e11, 1e12}) EXPECT_EQ(result(flops, 4), once) << flops;
}

}  // namespace
}  // namespace ito
