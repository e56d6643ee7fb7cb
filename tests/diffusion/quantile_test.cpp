#include "diffusion/quantile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito {
namespace {

std::vector<double> quantiles(const Shape& shape, const std::vector<double>& values, double q) {
  Graph graph;
  const auto result =
      interpret({quantile_of_magnitudes(input(graph, "x", shape), q)}, {{"x", {shape, values}}});
  EXPECT_TRUE(result.ok()) << result.error().message;
  return (*result)[0].data;
}

double sorted_quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const float rank = static_cast<float>(q) * static_cast<float>(values.size() - 1);
  const size_t k = static_cast<size_t>(rank);
  if (k + 1 >= values.size()) return values.back();
  return values[k] + (values[k + 1] - values[k]) * (rank - static_cast<float>(k));
}

TEST(Quantile, EqualsSortingOnRandomValues) {
  std::mt19937 random(1);
  std::lognormal_distribution<float> wide(0, 5);
  for (int64_t n : {1, 2, 3, 17, 48, 200}) {
    std::vector<double> first, second;
    for (int64_t i = 0; i < n; ++i) {
      first.push_back(wide(random));
      second.push_back(wide(random));
    }
    std::vector<double> both = first;
    both.insert(both.end(), second.begin(), second.end());
    for (double q : {0.0, 0.1, 0.5, 0.9, 0.995, 1.0}) {
      const std::vector<double> found = quantiles({2, n, 1, 1}, both, q);
      const double one = sorted_quantile(first, q), two = sorted_quantile(second, q);
      EXPECT_NEAR(found[0], one, 1e-12 * one) << n << " " << q;
      EXPECT_NEAR(found[1], two, 1e-12 * two) << n << " " << q;
    }
  }
}

TEST(Quantile, HandlesTiesZerosAndTinyValues) {
  const std::vector<double> ties = {2, 1, 1, 1, 3, 0, 0, 1e-42};
  for (double q : {0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 0.85, 0.9, 1.0})
    EXPECT_NEAR(quantiles({1, 8}, ties, q)[0], sorted_quantile(ties, q), 1e-14) << q;
}

TEST(DynamicThreshold, ScalesEachImageByItsOwnQuantile) {
  Graph graph;
  const Shape shape{3, 4};
  // |x_0| quantile 1: 0.5 → 1 (no change), 4 → capped at 3, 2.
  const auto result =
      interpret({dynamic_threshold(input(graph, "x", shape), 1.0, 3.0)},
                {{"x", {shape, {0.1, -0.5, 0.2, 0.3, 4, -3.5, 1.5, 0, -2, 1, 0.5, 0}}}});
  ASSERT_TRUE(result.ok()) << result.error().message;
  const std::vector<double> expected = {0.1, -0.5, 0.2, 0.3, 1, -1, 0.5, 0, -1, 0.5, 0.25, 0};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR((*result)[0].data[i], expected[i], 1e-12) << i;
}

}  // namespace
}  // namespace ito
