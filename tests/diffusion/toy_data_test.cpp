#include "diffusion/toy_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito {
namespace {

constexpr int64_t kCount = 4000;

std::vector<double> points_of(const ToyData& data) {
  Graph graph;
  const Tensor points = toy_points(data, constant(graph, {2}, {1, 2}, DType::kU32),
                                   iota(graph, {kCount}, 0), scalar(graph, 5, DType::kU32));
  auto values = interpret({points}, {});
  EXPECT_TRUE(values.ok()) << (values.ok() ? "" : values.error().message);
  return (*values)[0].data;
}

TEST(ToyData, LieWithinTheirExtent) {
  for (const std::string& name : toy_data_names()) {
    const ToyData data = toy_data(name).value();
    EXPECT_EQ(data.name, name);
    int64_t outside = 0;
    for (const double value : points_of(data)) outside += std::abs(value) > data.extent ? 1 : 0;
    EXPECT_LE(outside, kCount / 100) << name;
  }
}

TEST(ToyData, RingsHaveTheirRadii) {
  const ToyData data = toy_data("rings").value();
  const std::vector<double> points = points_of(data);
  std::vector<int64_t> counts(3, 0);
  for (size_t i = 0; i < points.size(); i += 2) {
    const double r = std::hypot(points[i], points[i + 1]);
    const double ring = std::clamp(std::round((r - 0.8) / 0.9), 0.0, 2.0);
    EXPECT_LT(std::abs(r - 0.8 - 0.9 * ring), 0.45 + 1e-9);
    ++counts[static_cast<size_t>(ring)];
  }
  for (const int64_t count : counts)  // a third each
    EXPECT_NEAR(static_cast<double>(count), kCount / 3.0, 4 * std::sqrt(kCount * 2.0 / 9));
}

// Without the spread every point would lie in a square of even parity; with it few leave theirs.
TEST(ToyData, CheckerboardFillsEveryOtherSquare) {
  const ToyData data = toy_data("checkerboard").value();
  const std::vector<double> points = points_of(data);
  int64_t wrong = 0;
  for (size_t i = 0; i < points.size(); i += 2) {
    const double parity = std::floor(points[i] / 1.3) + std::floor(points[i + 1] / 1.3);
    wrong += std::fmod(std::abs(parity), 2) > 0.5 ? 1 : 0;
  }
  // Four sides, each crossed by a share of width/(1.3 √(2π)) of the points: about 10%.
  EXPECT_LT(wrong, kCount * 13 / 100);
}

TEST(ToyData, MixturesHaveTheirMoments) {
  for (const char* name : {"gaussian", "two_gaussians", "eight_gaussians", "grid_gaussians"}) {
    const ToyData data = toy_data(name).value();
    ASSERT_TRUE(data.is_mixture());
    const std::vector<double> points = points_of(data);
    for (size_t axis = 0; axis < 2; ++axis) {
      double mean = 0, square = 0, found = 0;
      for (size_t k = 0; k < data.mixture.weights.size(); ++k) {
        const double weight = data.mixture.weights[k], m = data.mixture.means[k][axis];
        mean += weight * m;
        square += weight * (m * m + data.mixture.variances[k][axis]);
      }
      for (size_t i = axis; i < points.size(); i += 2) found += points[i] / kCount;
      EXPECT_NEAR(found, mean, 4 * std::sqrt((square - mean * mean) / kCount)) << name;
    }
  }
}

TEST(ToyData, UnknownNamesListTheKnown) {
  const auto data = toy_data("three_moons");
  ASSERT_FALSE(data.ok());
  EXPECT_NE(data.error().message.find("three_moons"), std::string::npos);
  EXPECT_NE(data.error().message.find("swiss_roll"), std::string::npos);
}

}  // namespace
}  // namespace ito
