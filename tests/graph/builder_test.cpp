// Functions of builder.h against closed forms.
#include "graph/builder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/interpret.h"

namespace ito {
namespace {

using V = std::vector<double>;

V values(Tensor x) {
  Result<std::vector<HostValue>> result = interpret({x}, {});
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return (*result)[0].data;
}

TEST(Builder, ElementwiseBroadcastsAsNumpy) {
  Graph graph;
  Tensor a = constant(graph, {2, 1}, {10, 20}), b = constant(graph, {3}, {1, 2, 3});
  EXPECT_EQ((a + b).shape(), (Shape{2, 3}));
  EXPECT_EQ(values(a + b), (V{11, 12, 13, 21, 22, 23}));
  EXPECT_EQ(values(select(less(a, full(graph, {}, 15)), b, b * 2.0)), (V{1, 2, 3, 2, 4, 6}));
}

TEST(BuilderDeathTest, NamesBothShapes) {
  Graph graph;
  Tensor a = input(graph, "a", {2, 4}), b = input(graph, "b", {2, 3});
  EXPECT_DEATH(a + b, "\\[2,4\\] and \\[2,3\\]");
  EXPECT_DEATH(a + cast(a, DType::kI32), "f32 and i32");
}

TEST(Builder, ActivationsMatchTheirDefinitions) {
  Graph graph;
  const V at = {-5, -0.5, 0, 0.25, 3};
  Tensor x = constant(graph, {5}, at);
  auto expect = [&](Tensor y, double (*definition)(double)) {
    V found = values(y);
    for (size_t i = 0; i < at.size(); ++i) EXPECT_NEAR(found[i], definition(at[i]), 1e-14);
  };
  expect(silu(x), [](double v) { return v / (1 + std::exp(-v)); });
  expect(softplus(x), [](double v) { return std::log1p(std::exp(v)); });
  expect(gelu(x), [](double v) { return v * 0.5 * std::erfc(-v / std::sqrt(2.0)); });
  expect(relu(x), [](double v) { return v > 0 ? v : 0; });
  expect(clamp(x, -1, 2), [](double v) { return v < -1 ? -1 : v > 2 ? 2 : v; });
}

TEST(Builder, SoftplusNeitherOverflowsNorVanishes) {
  Graph graph;
  EXPECT_EQ(values(softplus(constant(graph, {2}, {1000, -1000}))), (V{1000, 0}));
}

TEST(Builder, LinearTakesVectorsAndBatches) {
  Graph graph;
  Tensor w = constant(graph, {2, 3}, {1, 0, 2, 0, 1, 3});
  Tensor bias = constant(graph, {3}, {0.5, 0, 0});
  EXPECT_EQ(values(linear(constant(graph, {2}, {1, 2}), w, bias)), (V{1.5, 2, 8}));
  EXPECT_EQ(linear(full(graph, {4, 5, 2}, 1), w).shape(), (Shape{4, 5, 3}));
}

TEST(Builder, NearestUpsamplingRepeats) {
  Graph graph;
  Tensor x = constant(graph, {1, 1, 3, 1}, {1, 2, 3});
  EXPECT_EQ(values(upsample_nearest2x(x)), (V{1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(values(upsample_nearest(x, 1, 5)), (V{1, 1, 2, 2, 3}));
}

TEST(Builder, BilinearUpsamplingIsExactOnRampsAwayFromTheEdge) {
  Graph graph;
  Tensor x = iota(graph, {1, 1, 6, 1}, 2, DType::kF32);
  V y = values(upsample_bilinear(x, 1, 12));
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[11], 5);
  for (size_t i = 1; i < 11; ++i) EXPECT_NEAR(y[i], (double(i) + 0.5) / 2 - 0.5, 1e-14);
}

TEST(Builder, FirResamplingKeepsConstantsInside) {
  Graph graph;
  Tensor ones = constant(graph, {1, 8, 8, 1}, V(64, 1));
  Tensor up = fir_up2(ones), down = fir_down2(ones);
  ASSERT_EQ(up.shape(), (Shape{1, 16, 16, 1}));
  ASSERT_EQ(down.shape(), (Shape{1, 4, 4, 1}));
  EXPECT_DOUBLE_EQ(values(up)[5 * 16 + 7], 1);
  EXPECT_DOUBLE_EQ(values(down)[1 * 4 + 2], 1);
  EXPECT_DOUBLE_EQ(values(down)[0], 49.0 / 64);  // the corner sees one row and column of zeros
}

TEST(Builder, TimestepEmbeddingIsSinusoidal) {
  Graph graph;
  Tensor t = constant(graph, {1}, {3});
  V sin_first = values(timestep_embedding(t, 5, false, 0));
  const double slow = 3 * std::exp(-std::log(10000.0) / 2);
  ASSERT_EQ(sin_first.size(), 5u);
  EXPECT_NEAR(sin_first[0], std::sin(3.0), 1e-6);
  EXPECT_NEAR(sin_first[1], std::sin(slow), 1e-6);
  EXPECT_NEAR(sin_first[2], std::cos(3.0), 1e-6);
  EXPECT_EQ(sin_first[4], 0);
  EXPECT_NEAR(values(timestep_embedding(t, 4, true, 0))[0], std::cos(3.0), 1e-6);
  // With shift 1 the last frequency is 1 / max_period.
  EXPECT_NEAR(values(timestep_embedding(t, 4, false, 1, 1, 100))[1], std::sin(0.03), 1e-6);
}

TEST(Builder, FourierFeaturesTurnByTwoPi) {
  Graph graph;
  Tensor x = constant(graph, {1}, {std::exp(0.25)}), w = constant(graph, {2}, {1, 2});
  V y = values(fourier_features(x, w, true, false));
  EXPECT_NEAR(y[0], 1, 1e-12);
  EXPECT_NEAR(y[1], 0, 1e-12);
  EXPECT_NEAR(y[3], -1, 1e-12);
}

}  // namespace
}  // namespace ito
