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
  for (const Name& row : toy_data_choices()) {
    const std::string name(row.name);
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

// The distance of a point to the nearest of those of a finely cut curve.
double distance_to(const std::vector<std::pair<double, double>>& curve, double x, double y) {
  double least = 1e9;
  for (const auto& [a, b] : curve) least = std::min(least, std::hypot(x - a, y - b));
  return least;
}

// Beyond four widths lies one point in 16,000 of a straight line's, and none of these 4,000.
void expect_on_curve(const std::string& name, const std::vector<std::pair<double, double>>& curve) {
  const ToyData data = toy_data(name).value();
  const std::vector<double> points = points_of(data);
  double squares = 0;
  for (size_t i = 0; i < points.size(); i += 2) {
    const double distance = distance_to(curve, points[i], points[i + 1]);
    EXPECT_LT(distance, 4 * data.width) << name << " " << points[i] << " " << points[i + 1];
    squares += distance * distance;
  }
  // The part of the spread across the curve, but for its ends and where turns come close.
  const double rms = std::sqrt(squares / kCount);
  EXPECT_NEAR(rms, data.width, 0.1 * data.width) << name;
  // And the curve has points along all of it.
  for (size_t part = 0; part < 20; ++part) {
    const auto& [x, y] = curve[(2 * part + 1) * curve.size() / 40];
    double least = 1e9;
    for (size_t i = 0; i < points.size(); i += 2)
      least = std::min(least, std::hypot(points[i] - x, points[i + 1] - y));
    EXPECT_LT(least, data.width) << name << ", part " << part;
  }
}

TEST(ToyData, MoonsLieOnTheirHalfCircles) {
  std::vector<std::pair<double, double>> curve;
  for (int i = 0; i <= 1000; ++i) {
    const double angle = M_PI * i / 1000;
    curve.emplace_back(1.5 * std::cos(angle) - 0.75, 1.5 * std::sin(angle) - 0.375);
    curve.emplace_back(0.75 - 1.5 * std::cos(angle), 0.375 - 1.5 * std::sin(angle));
  }
  expect_on_curve("two_moons", curve);
}

// One and a half turns to the radius 3.1: r = 3.1 angle/3π.
TEST(ToyData, TheRollLiesOnItsSpiral) {
  std::vector<std::pair<double, double>> curve;
  for (int i = 0; i <= 3000; ++i) {
    const double r = 0.5 + 2.6 * i / 3000, angle = 3 * M_PI * r / 3.1;
    curve.emplace_back(r * std::cos(angle), r * std::sin(angle));
  }
  expect_on_curve("swiss_roll", curve);
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
