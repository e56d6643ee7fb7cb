#include "statistics/mean.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ito::test {
namespace {

TEST(Mean, HasTheStandardErrorOfIndependentValues) {
  const std::vector<double> values = {1, 2, 4, 9};
  const MeanAndError found = mean_and_error(values);
  EXPECT_DOUBLE_EQ(found.mean, 4);
  // Σ (x - 4)² = 9 + 4 + 0 + 25 = 38, over n (n - 1) = 12.
  EXPECT_NEAR(found.standard_error, std::sqrt(38.0 / 12), 1e-14);
  RunningMean running;
  for (const double value : values) running.add(value);
  EXPECT_DOUBLE_EQ(running.result().mean, found.mean);
  EXPECT_NEAR(running.result().standard_error, found.standard_error, 1e-14);
  EXPECT_EQ(mean_and_error(std::vector<double>{3}).standard_error, 0);
  EXPECT_EQ(mean_and_error(std::vector<double>{}).mean, 0);
}

TEST(Mean, OfNoOrOneValueHasNoError) {
  RunningMean running;
  EXPECT_EQ(running.result().mean, 0);
  running.add(7);
  EXPECT_EQ(running.result().mean, 7);
  EXPECT_EQ(running.result().standard_error, 0);
}

// √(9 ± 0.6) is 3 ± 0.1 to first order.
TEST(Mean, RootHasTheErrorOfItsSlope) {
  const MeanAndError root = root_of({.mean = 9, .standard_error = 0.6});
  EXPECT_DOUBLE_EQ(root.mean, 3);
  EXPECT_NEAR(root.standard_error, 0.1, 1e-15);
  EXPECT_EQ(root_of({.mean = 0, .standard_error = 0}).standard_error, 0);
}

TEST(Mean, BlocksCoverAllOnce) {
  const auto blocks = blocks_of(23, 4);
  EXPECT_EQ(blocks,
            (std::vector<std::pair<int64_t, int64_t>>{{0, 5}, {5, 11}, {11, 17}, {17, 23}}));
  EXPECT_EQ(blocks_of(2, 10).size(), 2u);
  EXPECT_TRUE(blocks_of(0, 10).empty());
}

// Of a mean, leaving out one value at a time gives its ordinary standard error.
TEST(Jackknife, OfAMeanIsItsStandardError) {
  const std::vector<double> values = {1, 2, 4, 9};
  std::vector<double> without;
  for (const double left : values) without.push_back((16 - left) / 3);
  const MeanAndError found = jackknife(4, without);
  EXPECT_EQ(found.mean, 4);
  EXPECT_NEAR(found.standard_error, mean_and_error(values).standard_error, 1e-14);
}

}  // namespace
}  // namespace ito::test
