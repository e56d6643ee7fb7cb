// Every op and its gradient on the device against the interpreter: the list of small uses
// (tests/graph/op_cases.h), and seeded random shapes that are odd, 1, or no multiple of any tile.
// Canary bytes around every buffer are checked by run_on_device.
#include <algorithm>
#include <random>

#include "tests/graph/op_cases.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito {
namespace {

using test::HostValues;

// Single precision against double: a few units in the last place times the terms of a sum.
constexpr double kTolerance = 2e-5;

// Many independent uses collected into one program, because compiling kernels is what takes time.
class Batch {
 public:
  explicit Batch(uint32_t seed) : rng_(seed) {}

  Graph& graph() { return *program_.graph; }

  // One of the given numbers.
  int64_t pick(std::initializer_list<int64_t> from) { return from.begin()[rng_() % from.size()]; }

  Tensor operand(const std::string& name, Shape shape, double low = -1, double high = 1) {
    HostValue value = test::random_value(shape, low, high, rng_);
    for (double& v : value.data) v = static_cast<float>(v);
    inputs_[name] = std::move(value);
    return input(graph(), name, std::move(shape));
  }

  // Results checked from now on may be off by this, relative to the largest element.
  void set_tolerance(double tolerance) { tolerance_ = tolerance; }

  void check(const std::string& name, Tensor value) {
    program_.output(name, value);
    tolerances_[name] = tolerance_;
  }

  // The value and, weighted unevenly, its gradient by each operand.
  void check_with_gradient(const std::string& name, Tensor y, const std::vector<Tensor>& operands) {
    check(name, y);
    Tensor weight = operand(name + ".dy", y.shape(), 0.5, 1.5);
    std::vector<Tensor> gradients = grad(sum_all(y * weight), operands);
    for (size_t i = 0; i < operands.size(); ++i)
      check(fmt::format("{}.d{}", name, i), gradients[i]);
  }

  // The device's results against the interpreter's.
  void run(vk::Device& device, const CompileOptions& options = {}) {
    Result<HostValues> expected = test::run_on_interpreter(program_, inputs_);
    ASSERT_OK(expected);
    DeviceCaps gpu = device.caps();
    gpu.is_cpu = false;
    gpu.min_subgroup_size = 32;  // registers of plenty; elsewhere the device says it has few
    for (const DeviceCaps* caps :
         {static_cast<const DeviceCaps*>(nullptr), static_cast<const DeviceCaps*>(&gpu)}) {
      Result<HostValues> actual = test::run_on_device(device, program_, inputs_, options, caps);
      ASSERT_OK(actual);
      for (const auto& [name, value] : *expected)
        EXPECT_LE(test::relative_error(actual->at(name).data, value.data), tolerances_.at(name))
            << name << " " << value.shape.to_string() << (caps ? " in the form for GPUs" : "");
    }
  }

 private:
  std::mt19937 rng_;
  Program program_;
  HostValues inputs_;
  std::map<std::string, double> tolerances_;
  double tolerance_ = kTolerance;
};

class OpSweep : public test::VulkanTest {
 protected:
  void run_cases(const std::vector<test::OpCase>& cases, const CompileOptions& options) {
    Batch batch(1);
    for (const test::OpCase& c : cases) {
      std::vector<Tensor> operands;
      for (size_t i = 0; i < c.operands.size(); ++i)
        operands.push_back(batch.operand(fmt::format("{}.{}", c.name, test::operand_name(i)),
                                         c.operands[i].shape, c.operands[i].low,
                                         c.operands[i].high));
      batch.set_tolerance(std::max(kTolerance, c.precision));
      Tensor y = c.build(operands);
      if (c.smooth)
        batch.check_with_gradient(c.name, y, operands);
      else
        batch.check(c.name, y);
    }
    batch.run(device(), options);
  }
};

TEST_F(OpSweep, EveryCaseFused) { run_cases(test::op_cases(), {}); }

TEST_F(OpSweep, EveryCaseUnfusedWithoutMemoryReuse) {
  run_cases(test::op_cases(), {.fuse = false, .reuse_memory = false});
}

TEST_F(OpSweep, ElementwiseOverRandomBroadcasts) {
  Batch batch(2);
  for (int i = 0; i < 12; ++i) {
    const int rank = static_cast<int>(batch.pick({1, 2, 3, 4}));
    std::vector<int64_t> full_dims, part_dims;
    for (int axis = 0; axis < rank; ++axis) {
      full_dims.push_back(batch.pick({1, 2, 3, 5, 8, 17}));
      part_dims.push_back(batch.pick({0, 1}) == 1 ? full_dims.back() : 1);
    }
    const std::string name = fmt::format("broadcast{}", i);
    Tensor a = batch.operand(name + ".a", Shape(full_dims));
    Tensor b = batch.operand(name + ".b", Shape(part_dims));
    batch.check_with_gradient(name, silu(a * b) + tanh(b) - a / (square(b) + 1.0), {a, b});
  }
  batch.run(device());
}

TEST_F(OpSweep, MovementChainsAreExact) {
  Batch batch(3);
  batch.set_tolerance(1e-6);
  for (int i = 0; i < 16; ++i) {
    const std::string name = fmt::format("move{}", i);
    const int64_t a = batch.pick({1, 2, 5, 9}), b = batch.pick({1, 3, 4, 17});
    const int64_t c = batch.pick({1, 2, 3, 7});
    Tensor x = batch.operand(name + ".x", {a, b, c});
    Tensor y = x;
    for (int step = 0; step < 4; ++step) {
      const int axis = static_cast<int>(batch.pick({0, 1, 2}));
      const size_t k = static_cast<size_t>(axis);
      std::vector<int64_t> zeros(3, 0), ones(3, 1), start(3, 0), stop = y.shape().dims();
      switch (batch.pick({0, 1, 2, 3, 4, 5})) {
        case 0:
          y = permute(y, {axis, (axis + 2) % 3, (axis + 1) % 3});
          break;
        case 1:
          y = flip(y, {axis});
          break;
        case 2: {
          std::vector<int64_t> low = zeros, high = zeros, interior = zeros;
          low[k] = batch.pick({0, 1, 2});
          high[k] = batch.pick({0, 1, 3});
          interior[k] = batch.pick({0, 1});
          y = pad(y, low, high, 0.5, interior);
          break;
        }
        case 3:
          ones[k] = batch.pick({1, 2, 3});
          start[k] = stop[k] / 3;
          y = slice(y, start, stop, ones);
          break;
        case 4:
          y = concat({y, y * 2.0}, axis);
          break;
        case 5:
          y = reshape(y, {y.dim(1), y.dim(0) * y.dim(2), 1});
          break;
      }
    }
    batch.check_with_gradient(name, y, {x});
  }
  batch.run(device());
}

TEST_F(OpSweep, ReductionsOverRandomShapesAndAxes) {
  Batch batch(4);
  for (int i = 0; i < 14; ++i) {
    const std::string name = fmt::format("reduce{}", i);
    const int rank = static_cast<int>(batch.pick({1, 2, 3, 4}));
    std::vector<int64_t> dims, axes;
    for (int axis = 0; axis < rank; ++axis) {
      dims.push_back(batch.pick({1, 2, 3, 7, 16, 33}));
      if (batch.pick({0, 1}) == 1) axes.push_back(axis);
    }
    Tensor x = batch.operand(name + ".x", Shape(dims));
    batch.check_with_gradient(name + ".sum", sum(square(x) + x, axes), {x});
    batch.check(name + ".max", max(x * 3.0, axes, true));
    batch.check(name + ".var", var(x, axes));
  }
  Tensor large = batch.operand("large", {100003});
  batch.check_with_gradient("large.mean", mean_all(square(large)), {large});
  Tensor wide = batch.operand("wide", {3, 4099});
  batch.check_with_gradient("wide.logsumexp", logsumexp(wide, {1}), {wide});
  batch.run(device());
}

TEST_F(OpSweep, MatmulsOverRandomSizes) {
  Batch batch(5);
  for (int i = 0; i < 10; ++i) {
    const std::string name = fmt::format("matmul{}", i);
    const int64_t n = batch.pick({1, 1, 3}), m = batch.pick({1, 3, 16, 31, 65});
    const int64_t k = batch.pick({1, 7, 16, 33, 130}), o = batch.pick({1, 5, 16, 17, 64, 67});
    const bool ta = batch.pick({0, 1}) == 1, tb = batch.pick({0, 1}) == 1;
    Tensor a = batch.operand(name + ".a", ta ? Shape{n, k, m} : Shape{n, m, k});
    Tensor b = batch.operand(name + ".b", tb ? Shape{n, o, k} : Shape{n, k, o});
    batch.check_with_gradient(name, matmul(a, b, ta, tb), {a, b});
  }
  batch.run(device());
}

TEST_F(OpSweep, ConvolutionsOverRandomGeometry) {
  Batch batch(6);
  for (int i = 0; i < 10; ++i) {
    const std::string name = fmt::format("conv{}", i);
    ConvAttr attr;
    attr.groups = batch.pick({1, 1, 1, 2});
    attr.stride = {batch.pick({1, 1, 2, 3}), batch.pick({1, 1, 2})};
    attr.dilation = {batch.pick({1, 1, 2}), batch.pick({1, 1, 3})};
    attr.pad = {batch.pick({0, 1, 2}), batch.pick({0, 1}), batch.pick({0, 1}),
                batch.pick({0, 1, 3})};
    const int64_t ci = attr.groups * batch.pick({1, 3, 8, 17});
    const int64_t co = attr.groups * batch.pick({1, 5, 16, 20});
    Tensor x = batch.operand(
        name + ".x", {batch.pick({1, 2}), batch.pick({5, 8, 11}), batch.pick({7, 9, 16}), ci});
    Tensor w = batch.operand(name + ".w",
                             {batch.pick({1, 3}), batch.pick({1, 2, 3}), ci / attr.groups, co});
    Tensor bias = batch.operand(name + ".bias", {co});
    batch.check_with_gradient(name, silu(conv2d(x, w, attr) + bias), {x, w, bias});
  }
  batch.run(device());
}

// Sizes at which CPU devices take Winograd's way, whole tiles and others, in all three directions.
TEST_F(OpSweep, ConvolutionsOfTransformedTiles) {
  Batch batch(16);
  batch.set_tolerance(5e-5);  // its largest error is about three times that of the plain sum
  int i = 0;
  for (const auto& [x_shape, co] : {std::pair<Shape, int64_t>{{2, 16, 16, 64}, 64},
                                    {{1, 10, 13, 64}, 80},
                                    {{1, 12, 11, 70}, 64}}) {
    const std::string name = fmt::format("winograd{}", i);
    ConvAttr attr{.pad = {1, 1, 1, 1}};
    if (i == 1) attr.pad = {0, 2, 1, 0};
    ++i;
    Tensor x = batch.operand(name + ".x", x_shape);
    Tensor w = batch.operand(name + ".w", {3, 3, x_shape[3], co}, -0.1, 0.1);
    Tensor bias = batch.operand(name + ".bias", {co});
    batch.check_with_gradient(name, silu(conv2d(x, w, attr) + bias), {x, w, bias});
  }
  batch.run(device());
}

TEST_F(OpSweep, NormsOverRandomShapes) {
  Batch batch(7);
  for (int i = 0; i < 5; ++i) {
    const std::string name = fmt::format("norm{}", i);
    const int64_t groups = batch.pick({1, 2, 5, 8}), c = groups * batch.pick({1, 2, 3, 4});
    Tensor x = batch.operand(name + ".x",
                             {batch.pick({1, 3}), batch.pick({1, 5, 8}), batch.pick({2, 7}), c});
    Tensor gamma = batch.operand(name + ".gamma", {c}, 0.5, 1.5);
    Tensor beta = batch.operand(name + ".beta", {c});
    batch.check_with_gradient(name, silu(group_norm(x, gamma, beta, groups, 1e-5)),
                              {x, gamma, beta});
    Tensor rows = batch.operand(name + ".rows", {batch.pick({1, 6}), batch.pick({5, 33, 300})});
    Tensor scale = batch.operand(name + ".scale", {rows.dim(1)}, 0.5, 1.5);
    Tensor shift = batch.operand(name + ".shift", {rows.dim(1)});
    batch.check_with_gradient(name + ".layer", layer_norm(rows, scale, shift, 1e-5),
                              {rows, scale, shift});
    batch.check_with_gradient(name + ".softmax", softmax(rows * 4.0), {rows});
  }
  batch.run(device());
}

// Every phase of a stride with every number of taps, padding beyond the filter's reach included.
TEST_F(OpSweep, StridedConvolutionGradientsOfEveryPhase) {
  Batch batch(11);
  for (const int64_t taps : {1, 2, 3, 4, 5}) {
    for (const int64_t padding : {0, 1, 2, 3}) {
      const std::string name = fmt::format("taps{}_pad{}", taps, padding);
      ConvAttr attr;
      attr.stride = {2, padding % 2 == 0 ? 2 : 1};
      attr.pad = {padding, batch.pick({0, 1, 2}), padding, batch.pick({0, 1})};
      const Shape x{2, batch.pick({7, 8}), batch.pick({9, 10}), 3};
      const Shape w{taps, batch.pick({2, 3}), 3, 17};
      auto extent = [&](int i) {
        return (x[1 + i] + attr.pad[size_t(2 * i)] + attr.pad[size_t(2 * i + 1)] - w[i]) /
                   attr.stride[size_t(i)] +
               1;
      };
      Tensor dy = batch.operand(name + ".dy", {2, extent(0), extent(1), 17});
      Tensor weight = batch.operand(name + ".w", w);
      batch.check(name, conv2d_grad_input(dy, weight, x, attr));
    }
  }
  batch.run(device());
}

// Sizes at which lowering stores an operand again: as panels, transposed, with spread rows.
TEST_F(OpSweep, MatmulsThatCopyAnOperand) {
  Batch batch(12);
  int i = 0;
  for (const Shape& size : {Shape{2, 131, 40, 48},
                            {1, 128, 33, 37},
                            {1, 130, 1024, 128},
                            {1, 129, 300, 1024},
                            {2, 128, 8, 1024}}) {
    for (const bool tb : {false, true}) {
      const std::string name = fmt::format("matmul{}", i++);
      const int64_t n = size[0], m = size[1], k = size[2], o = size[3];
      Tensor a = batch.operand(name + ".a", {n, m, k});
      Tensor b = batch.operand(name + ".b", tb ? Shape{n, o, k} : Shape{n, k, o});
      batch.check(name, matmul(a, b, false, tb));
    }
  }
  // One right operand for a batch of left ones.
  Tensor a = batch.operand("shared.a", {3, 128, 20}), b = batch.operand("shared.b", {1, 32, 20});
  batch.check("shared", matmul(a, broadcast_to(b, {3, 32, 20}), false, true));
  batch.run(device());
}

// Groups of channels that divide no vector of lanes, in walks long enough to be unrolled.
TEST_F(OpSweep, LongNormsOverGroupsOfAnySize) {
  Batch batch(13);
  for (const auto& [groups, channels] :
       {std::pair<int64_t, int64_t>{8, 48}, {8, 96}, {5, 15}, {16, 80}, {2, 48}, {3, 9}}) {
    const std::string name = fmt::format("norm{}of{}", groups, channels);
    Tensor x = batch.operand(name + ".x", {2, 8, 56, channels});
    Tensor gamma = batch.operand(name + ".gamma", {channels}, 0.5, 1.5);
    Tensor beta = batch.operand(name + ".beta", {channels});
    batch.check_with_gradient(name, silu(group_norm(x, gamma, beta, groups, 1e-5)),
                              {x, gamma, beta});
  }
  Tensor rows = batch.operand("rows", {40, 1024});
  batch.check_with_gradient("rows.softmax", softmax(rows * 4.0), {rows});
  batch.check("rows.sum", sum(square(rows), {1}));
  batch.check("rows.max", max(rows, {1}));
  batch.run(device());
}

TEST_F(OpSweep, AttentionOverRandomLengths) {
  Batch batch(8);
  for (int i = 0; i < 5; ++i) {
    const std::string name = fmt::format("attention{}", i);
    const int64_t heads = batch.pick({1, 2, 4}), c = heads * batch.pick({1, 8, 24, 40});
    const int64_t n = batch.pick({1, 2}), sq = batch.pick({1, 16, 33}), sk = batch.pick({1, 5, 77});
    Tensor q = batch.operand(name + ".q", {n, sq, c});
    Tensor k = batch.operand(name + ".k", {n, sk, c}), v = batch.operand(name + ".v", {n, sk, c});
    batch.check_with_gradient(name, attention(q, k, v, heads, 0.3), {q, k, v});
  }
  batch.run(device());
}

// Odd lengths, one query, one key, heads of one channel and of no multiple of a tile, and
// operands that are views. (At such sizes the test above has the decomposition.)
TEST_F(OpSweep, AttentionKernelsOverRandomLengths) {
  Batch batch(12);
  for (int i = 0; i < 3; ++i) {
    const std::string name = fmt::format("attend{}", i);
    const int64_t heads = batch.pick({1, 2, 3}), c = heads * batch.pick({1, 5, 8, 20});
    const int64_t n = batch.pick({1, 2}), sq = batch.pick({1, 16, 33}),
                  sk = batch.pick({1, 3, 40, 77});
    Tensor q = batch.operand(name + ".q", {n, sq, c}, -2, 2);
    Tensor k = batch.operand(name + ".k", {n, sk, c}), v = batch.operand(name + ".v", {n, sk, c});
    batch.check_with_gradient(name, attention(q, k, v, heads, 0.7), {q, k, v});
  }
  Tensor packed = batch.operand("packed", {2, 35, 3 * 24});
  const auto part = [&](int64_t i) { return slice(packed, {0, 0, 24 * i}, {2, 35, 24 * (i + 1)}); };
  batch.check_with_gradient("of_packed", attention(part(0), part(1), part(2), 2, 0.3), {packed});
  Tensor planes = batch.operand("planes", {1, 12, 5, 7});
  Tensor tokens = reshape(permute(planes, {0, 2, 3, 1}), {1, 35, 12});
  batch.check_with_gradient("of_planes", attention(tokens, tokens, tokens, 1, 0.3), {planes});
  batch.run(device(), {.attention = AttentionForm::kKernel});
}

TEST_F(OpSweep, AttentionKernelsOfTheWidestHead) {
  Batch batch(13);
  Tensor q = batch.operand("q", {1, 70, 128}), k = batch.operand("k", {1, 37, 128});
  Tensor v = batch.operand("v", {1, 37, 128});
  batch.check_with_gradient("widest", attention(q, k, v, 1, 0.1), {q});
  batch.run(device(), {.attention = AttentionForm::kKernel});
}

// Scores of some hundreds: exponentials that are not shifted by the maximum overflow.
TEST_F(OpSweep, AttentionKernelsOfLargeScores) {
  Batch batch(14);
  batch.set_tolerance(1e-3);  // the scores themselves are rounded at a few hundred
  Tensor q = batch.operand("q", {1, 20, 8}, -20, 20), k = batch.operand("k", {1, 50, 8}, -20, 20);
  Tensor v = batch.operand("v", {1, 50, 8});
  batch.check("large", attention(q, k, v, 1, 1.0));
  batch.run(device(), {.attention = AttentionForm::kKernel});
}

TEST_F(OpSweep, IndicesOverRandomRows) {
  Batch batch(9);
  for (int i = 0; i < 4; ++i) {
    const std::string name = fmt::format("rows{}", i);
    const int64_t rows = batch.pick({1, 7, 20}), width = batch.pick({1, 3, 17});
    std::vector<double> index;
    for (int64_t j = batch.pick({1, 5, 40}); j > 0; --j)
      index.push_back(static_cast<double>(batch.pick({0, 1, 2, 6, 19, 30})));
    const int64_t count = static_cast<int64_t>(index.size());
    const DType dtype = i % 2 == 0 ? DType::kU32 : DType::kI32;
    if (dtype == DType::kI32) index[0] = -3;
    Tensor chosen = constant(batch.graph(), {count}, index, dtype);
    Tensor table = batch.operand(name + ".table", {rows, width});
    batch.check_with_gradient(name + ".gather", square(gather(table, chosen)), {table});
    Tensor updates = batch.operand(name + ".updates", {count, width});
    batch.check_with_gradient(name + ".scatter", square(scatter_add(updates, chosen, rows)),
                              {updates});
  }
  batch.run(device());
}

TEST_F(OpSweep, RandomNumbersOverOddShapes) {
  Batch batch(10);
  batch.set_tolerance(1e-6);
  Graph& g = batch.graph();
  Tensor key = constant(g, {2}, {4000000000.0, 77}, DType::kU32);
  Tensor image = constant(g, {3}, {0, 5, 4294967295.0}, DType::kU32);
  Tensor step = scalar(g, 12, DType::kU32);
  batch.check("normal", random_normal({3, 7, 5, 3}, key, image, step, 1));
  batch.check("normal_one", random_normal({3}, key, image, step, 2));
  batch.check("uniform", random_uniform({3, 1031}, key, image, step, 3));
  batch.check("index", cast(random_index(key, image, step, 4, 1000), DType::kF32));
  batch.run(device());
}

TEST_F(OpSweep, SecondOrderOfANetwork) {
  Batch batch(11);
  batch.set_tolerance(1e-4);  // sums over sums: a hundred times more terms than one op has
  Tensor x = batch.operand("x", {2, 5, 7, 3});
  Tensor w = batch.operand("w", {3, 3, 3, 6}), v = batch.operand("v", {2, 5, 7, 3});
  Tensor gamma = batch.operand("gamma", {6}, 0.5, 1.5), beta = batch.operand("beta", {6});
  Tensor h = silu(group_norm(conv2d(x, w, {.pad = {1, 1, 1, 1}}), gamma, beta, 2, 1e-5));
  Tensor tokens = reshape(h, {2, 35, 6});
  Tensor y = attention(tokens, tokens, tokens, 2, 0.5);
  Tensor score = grad(y, {x})[0];
  batch.check_with_gradient("ssm", sum_all(score * v) + sum_all(square(score)), {x, w, gamma});
  batch.run(device());
}

}  // namespace
}  // namespace ito
