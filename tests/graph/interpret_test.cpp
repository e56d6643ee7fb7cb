// The oracle itself, against values worked out by hand.
#include "graph/interpret.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/builder.h"

namespace ito {
namespace {

using V = std::vector<double>;

V values(Tensor x, const std::unordered_map<std::string, HostValue>& inputs = {}) {
  Result<std::vector<HostValue>> result = interpret({x}, inputs);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  EXPECT_EQ((*result)[0].shape, x.shape());
  return (*result)[0].data;
}

TEST(Interpret, NamesAMissingOrWrongInput) {
  Graph graph;
  Tensor x = input(graph, "pixels", {2});
  Result<std::vector<HostValue>> missing = interpret({x}, {});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("pixels"), std::string::npos);
  Result<std::vector<HostValue>> wrong = interpret({x}, {{"pixels", {{3}, {1, 2, 3}}}});
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("[3]"), std::string::npos);
}

TEST(Interpret, GivesResultsInOrderAndRepeated) {
  Graph graph;
  Tensor x = input(graph, "x", {1});
  Tensor y = x * 2.0;
  Result<std::vector<HostValue>> result = interpret({y, x, y}, {{"x", {{1}, {3}}}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ((*result)[0].data, V{6});
  EXPECT_EQ((*result)[1].data, V{3});
  EXPECT_EQ((*result)[2].data, V{6});
}

// Constants would be folded while building; inputs keep the ops.
struct Integers {
  Graph graph;
  Tensor a, b;
  std::unordered_map<std::string, HostValue> inputs;
  Integers(DType dtype, V va, V vb) {
    const int64_t n = static_cast<int64_t>(va.size());
    a = input(graph, "a", {n}, dtype);
    b = input(graph, "b", {n}, dtype);
    inputs = {{"a", {{n}, va}}, {"b", {{n}, vb}}};
  }
  V operator()(Tensor x) { return values(x, inputs); }
};

TEST(Interpret, UnsignedIntegersWrap) {
  Integers u(DType::kU32, {4294967295, 65536, 7}, {2, 65537, 9});
  EXPECT_EQ(u(u.a + u.b), (V{1, 131073, 16}));
  EXPECT_EQ(u(u.a - u.b), (V{4294967293, 4294967295, 4294967294}));
  EXPECT_EQ(u(u.a * u.b), (V{4294967294, 65536, 63}));
  EXPECT_EQ(u(u.a / u.b), (V{2147483647, 0, 0}));
  EXPECT_EQ(u(rem(u.a, u.b)), (V{1, 65536, 7}));
  EXPECT_EQ(u(neg(u.a)), (V{1, 4294901760, 4294967289}));
  EXPECT_EQ(u(cast(u.a, DType::kI32)), (V{-1, 65536, 7}));
  EXPECT_EQ(u(shift_right(u.a, full(u.graph, {3}, 4, DType::kU32))), (V{268435455, 4096, 0}));
  EXPECT_EQ(u(shift_left(u.a, full(u.graph, {3}, 16, DType::kU32))), (V{4294901760, 0, 458752}));
  EXPECT_EQ(u(cast(less(u.b, u.a), DType::kF32)), (V{1, 0, 0}));
}

TEST(Interpret, SignedIntegersWrapAndTruncate) {
  Integers i(DType::kI32, {2147483647, -7, -8}, {1, 2, 3});
  EXPECT_EQ(i(i.a + i.b), (V{-2147483648.0, -5, -5}));
  EXPECT_EQ(i(i.a / i.b), (V{2147483647, -3, -2}));
  EXPECT_EQ(i(rem(i.a, i.b)), (V{0, -1, -2}));
  EXPECT_EQ(i(shift_right(i.a, i.b)), (V{1073741823, -2, -1}));
  EXPECT_EQ(i(abs(i.a)), (V{2147483647, 7, 8}));
  EXPECT_EQ(i(sign(i.a)), (V{1, -1, -1}));
  EXPECT_EQ(i(cast(i.a, DType::kU32)), (V{2147483647, 4294967289, 4294967288}));
  EXPECT_EQ(i(bit_and(i.a, i.b)), (V{1, 0, 0}));
  EXPECT_EQ(i(bit_xor(i.a, i.b)), (V{2147483646, -5, -5}));
  EXPECT_EQ(i(sum(i.a, {0})), V{2147483632});
}

TEST(Interpret, CastsTruncateTowardsZero) {
  Integers f(DType::kF32, {2.9, -2.9, 0.5}, {0, 1, 0});
  EXPECT_EQ(f(cast(f.a, DType::kI32)), (V{2, -2, 0}));
  EXPECT_EQ(f(cast(cast(f.b, DType::kBool), DType::kF32)), (V{0, 1, 0}));
}

TEST(Interpret, FloatRemainderRoundsDown) {
  Integers f(DType::kF32, {-1, 7, -7}, {4, 4, -4});
  EXPECT_EQ(f(rem(f.a, f.b)), (V{3, 3, -3}));
}

TEST(Interpret, MovementPutsElementsWhereNumpyDoes) {
  Graph graph;
  Tensor x = constant(graph, {2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(values(permute(x, {1, 0})), (V{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(transpose(reshape(x, {1, 2, 3}), -1, 1)), (V{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(slice(x, {0, 2}, {2, -1}, {1, -2})), (V{2, 0, 5, 3}));
  EXPECT_EQ(values(slice_axis(x, -1, 1, 3)), (V{1, 2, 4, 5}));
  EXPECT_EQ(values(flip(x, {0})), (V{3, 4, 5, 0, 1, 2}));
  EXPECT_EQ(values(pad(slice_axis(x, 0, 0, 1), {0, 1}, {1, 0}, 9, {0, 1})),
            (V{9, 0, 9, 1, 9, 2, 9, 9, 9, 9, 9, 9}));
  EXPECT_EQ(values(concat({x, slice_axis(x, 1, 0, 1)}, -1)), (V{0, 1, 2, 0, 3, 4, 5, 3}));
  EXPECT_EQ(values(broadcast_to(slice_axis(x, 1, 1, 2), {2, 2, 2})), (V{1, 1, 4, 4, 1, 1, 4, 4}));
  EXPECT_EQ(values(iota(graph, {2, 3}, 0)), (V{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(values(iota(graph, {2, 3}, -1)), (V{0, 1, 2, 0, 1, 2}));
}

TEST(Interpret, IndicesClampForGatherAndScatterAdd) {
  Graph graph;
  Tensor x = constant(graph, {3, 2}, {0, 1, 2, 3, 4, 5});
  Tensor index = constant(graph, {4}, {-5, 1, 1, 7}, DType::kI32);
  EXPECT_EQ(values(gather(x, index)), (V{0, 1, 2, 3, 2, 3, 4, 5}));
  Tensor updates = constant(graph, {4, 1}, {1, 2, 3, 4});
  EXPECT_EQ(values(scatter_add(updates, index, 3)), (V{1, 5, 4}));
  Tensor at = constant(graph, {}, {2}, DType::kU32);
  EXPECT_EQ(gather(x, at).shape(), Shape{2});
  EXPECT_EQ(values(gather(x, at)), (V{4, 5}));
}

TEST(Interpret, ReductionsKeepOrDropAxes) {
  Graph graph;
  Tensor x = constant(graph, {2, 3}, {0, 5, 2, 3, 4, 1});
  EXPECT_EQ(values(sum(x, {1})), (V{7, 8}));
  EXPECT_EQ(sum(x, {1}, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(values(max(x, {0})), (V{3, 5, 2}));
  EXPECT_EQ(values(mean_all(x)), V{2.5});
  EXPECT_DOUBLE_EQ(values(var(x, {0, 1}, 1))[0], 3.5);
  EXPECT_NEAR(values(logsumexp(x * 1000.0, {1}))[0], 5000, 1e-9);
}

TEST(Interpret, ConvolutionIsACrossCorrelation) {
  Graph graph;
  Tensor x = constant(graph, {1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  Tensor w = constant(graph, {2, 2, 1, 1}, {1, 0, 0, 10});
  EXPECT_EQ(values(conv2d(x, w, {})), (V{51, 62, 84, 95}));
  EXPECT_EQ(values(conv2d(x, w, {.stride = {2, 2}, .pad = {1, 0, 1, 0}})), (V{10, 30, 70, 95}));
}

TEST(Interpret, TransposedConvolutionIsTheAdjoint) {
  Graph graph;
  const ConvAttr attr{.stride = {2, 1}, .pad = {1, 0, 0, 2}, .dilation = {1, 2}};
  Tensor x = iota(graph, {1, 5, 4, 2}, 1, DType::kF32) + iota(graph, {1, 5, 4, 2}, 2, DType::kF32);
  Tensor w = iota(graph, {3, 2, 2, 3}, 3, DType::kF32) - iota(graph, {3, 2, 2, 3}, 0, DType::kF32);
  Tensor y = conv2d(x, w, attr);
  Tensor dy = iota(graph, y.shape(), 1, DType::kF32) * iota(graph, y.shape(), 3, DType::kF32);
  const double forward = values(sum_all(y * dy))[0];
  EXPECT_NE(forward, 0);
  EXPECT_DOUBLE_EQ(values(sum_all(x * conv2d_grad_input(dy, w, x.shape(), attr)))[0], forward);
  EXPECT_DOUBLE_EQ(values(sum_all(w * conv2d_grad_weight(x, dy, w.shape(), attr)))[0], forward);
}

TEST(Interpret, GroupNormHasZeroMeanAndUnitVariancePerGroup) {
  Graph graph;
  Tensor x = sin(iota(graph, {2, 3, 2, 4}, 1, DType::kF32) * 3.0 +
                 iota(graph, {2, 3, 2, 4}, 3, DType::kF32) * 5.0);
  Tensor y = group_norm(x, full(graph, {4}, 1), full(graph, {4}, 0), 2, 0);
  Tensor groups = reshape(y, {2, 6, 2, 2});
  for (double m : values(mean(groups, {1, 3}))) EXPECT_NEAR(m, 0, 1e-12);
  for (double v : values(var(groups, {1, 3}))) EXPECT_NEAR(v, 1, 1e-12);
}

TEST(Interpret, AttentionOfEqualKeysIsTheMeanOfTheValues) {
  Graph graph;
  Tensor q = constant(graph, {1, 1, 4}, {3, 1, -2, 5});
  Tensor k = full(graph, {1, 2, 4}, 0.5);
  Tensor v = constant(graph, {1, 2, 4}, {1, 2, 3, 4, 3, 6, 9, 12});
  V y = values(attention(q, k, v, 2, 0.5));
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(y[i], 2.0 * static_cast<double>(i + 1), 1e-14);
}

}  // namespace
}  // namespace ito
