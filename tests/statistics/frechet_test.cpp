// Fréchet distances against closed forms.
#include "statistics/frechet.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ito::test {
namespace {

// Mean `centre` and exactly the covariance diag(d_i²)·2/(2n-1), n features: a pair of points on
// each axis.
FeatureStatistics cross(const std::vector<double>& centre, const std::vector<double>& half) {
  const size_t n = centre.size();
  FeatureStatistics statistics(static_cast<int64_t>(n));
  std::vector<float> points;
  for (size_t axis = 0; axis < n; ++axis)
    for (const double sign : {-1.0, 1.0})
      for (size_t i = 0; i < n; ++i)
        points.push_back(static_cast<float>(centre[i] + (i == axis ? sign * half[i] : 0)));
  statistics.add(points);
  return statistics;
}

TEST(Frechet, OfDiagonalGaussiansIsTheClosedForm) {
  const std::vector<double> a = {1, 2, 0.5}, b = {4, 0.25, 0.5};
  const double distance = *frechet_distance(cross({1, 2, 3}, a), cross({2, 2, 1}, b));
  double expected = 1 + 4;
  for (size_t i = 0; i < 3; ++i) expected += std::pow(a[i] - b[i], 2) * 2 / 5;
  EXPECT_NEAR(distance, expected, 1e-9);
}

// Covariances that do not commute: [[1, c], [c, 1]] and diag. For 2x2 matrices
// tr (AB)^½ = √(tr AB + 2 √det AB).
TEST(Frechet, OfCovariancesThatDoNotCommute) {
  FeatureStatistics a(2);
  a.add(std::vector<float>{2, 1, -2, -1, 1, 2, -1, -2});
  const FeatureStatistics b = cross({0, 0}, {3, 1});
  const std::vector<double> ca = a.covariance(), cb = b.covariance();
  double trace_product = 0;
  for (size_t i = 0; i < 2; ++i)
    for (size_t j = 0; j < 2; ++j) trace_product += ca[2 * i + j] * cb[2 * j + i];
  const double det = (ca[0] * ca[3] - ca[1] * ca[2]) * (cb[0] * cb[3] - cb[1] * cb[2]);
  const double expected =
      ca[0] + ca[3] + cb[0] + cb[3] - 2 * std::sqrt(trace_product + 2 * std::sqrt(det));
  EXPECT_NEAR(*frechet_distance(a, b), expected, 1e-9);
  EXPECT_NEAR(*frechet_distance(b, a), expected, 1e-9);
}

TEST(Frechet, OfASetToItselfIsZeroAlsoWhereTheCovarianceIsSingular) {
  FeatureStatistics flat(4);
  flat.add(std::vector<float>{1000, 2, 3, 4, 1001, 2, 3, 4, 1002, 2, 3, 5});
  EXPECT_NEAR(*frechet_distance(flat, flat), 0, 1e-7);
}

TEST(Frechet, TooFewImagesAndOtherFeaturesAreRefused) {
  FeatureStatistics one(2), two(2), three(3);
  one.add(std::vector<float>{1, 2});
  two.add(std::vector<float>{1, 2, 3, 4});
  three.add(std::vector<float>{1, 2, 3, 4, 5, 6});
  EXPECT_FALSE(frechet_distance(one, two).ok());
  EXPECT_FALSE(frechet_distance(two, three).ok());
  FeatureStatistics bad(2);
  bad.add(std::vector<float>{1, 2, NAN, 4});
  EXPECT_FALSE(frechet_distance(two, bad).ok());
}

TEST(SymmetricEigen, ValuesAndVectorsRebuildTheMatrix) {
  constexpr int64_t n = 7;
  std::vector<double> matrix(n * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j)
      matrix[static_cast<size_t>(i * n + j)] = matrix[static_cast<size_t>(j * n + i)] =
          std::sin(static_cast<double>(3 * i * i + j)) + (i == j ? 1.0 : 0.0);
  const SymmetricEigen eigen = symmetric_eigen(matrix, n);
  for (size_t e = 1; e < n; ++e) EXPECT_LE(eigen.values[e - 1], eigen.values[e]);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      double rebuilt = 0, product = 0;
      for (size_t e = 0; e < n; ++e) {
        rebuilt += eigen.values[e] * eigen.vectors[e * n + i] * eigen.vectors[e * n + j];
        product += eigen.vectors[i * n + e] * eigen.vectors[j * n + e];
      }
      EXPECT_NEAR(rebuilt, matrix[i * n + j], 1e-12);
      EXPECT_NEAR(product, i == j ? 1 : 0, 1e-12);
    }
  }
}

}  // namespace
}  // namespace ito::test
