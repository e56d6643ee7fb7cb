// Distances between sets of features against numbers of NumPy 1.24 (double precision, straight from
// the definitions), and against what must hold of any.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "statistics/frechet.h"
#include "statistics/kernel_distance.h"
#include "statistics/precision_recall.h"

namespace ito::test {
namespace {

constexpr int64_t kFeatures = 5, kBlocks = 4;

// scale · sin(0.7 i (j + 1) + 0.3 j + phase)
FeatureSet waves(int64_t count, double phase, double scale) {
  FeatureSet set(kFeatures);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < kFeatures; ++j)
      values.push_back(static_cast<float>(scale * std::sin(0.7 * static_cast<double>(i * (j + 1)) +
                                                           0.3 * static_cast<double>(j) + phase)));
  set.add(values);
  return set;
}

FeatureStatistics statistics_of(const FeatureSet& set) {
  FeatureStatistics statistics(set.features());
  statistics.add(set.vectors(0, set.count()));
  return statistics;
}

const FeatureSet& samples() {
  static const FeatureSet set = waves(23, 0, 1);
  return set;
}
const FeatureSet& real() {
  static const FeatureSet set = waves(31, 0.4, 0.9);
  return set;
}

// Single precision in the features, so 1e-6 of what they are of order one.
TEST(SetDistances, AreNumPys) {
  const Result<MeanAndError> frechet = frechet_distance(samples(), statistics_of(real()), kBlocks);
  ASSERT_TRUE(frechet.ok()) << frechet.error().message;
  EXPECT_NEAR(frechet->mean, 0.1444542204771846, 1e-6);
  EXPECT_NEAR(frechet->standard_error, 0.05931933851038974, 1e-6);

  const Result<KernelReference> reference = KernelReference::of(real());
  ASSERT_TRUE(reference.ok());
  const Result<MeanAndError> kernel = reference->distance(samples(), kBlocks);
  ASSERT_TRUE(kernel.ok()) << kernel.error().message;
  EXPECT_NEAR(kernel->mean, -0.139931852084493, 1e-6);
  EXPECT_NEAR(kernel->standard_error, 0.031966160365269496, 1e-6);

  for (const auto& [k, inside, covered] : {std::tuple{2, 0, 19}, {3, 13, 31}, {4, 23, 31}}) {
    const Result<PrecisionRecall> shares = precision_recall(real(), samples(), k);
    ASSERT_TRUE(shares.ok()) << shares.error().message;
    EXPECT_NEAR(shares->precision.mean, inside / 23.0, 1e-12) << k;
    EXPECT_NEAR(shares->recall.mean, covered / 31.0, 1e-12) << k;
    const double p = inside / 23.0;  // of a share: √(p (1 - p) / (n - 1))
    EXPECT_NEAR(shares->precision.standard_error, std::sqrt(p * (1 - p) / 22), 1e-12) << k;
  }
}

TEST(SetDistances, OfASetToItselfAreNone) {
  const Result<MeanAndError> frechet = frechet_distance(real(), statistics_of(real()), kBlocks);
  ASSERT_TRUE(frechet.ok());
  EXPECT_NEAR(frechet->mean, 0, 1e-9);
  const Result<PrecisionRecall> shares = precision_recall(real(), real());
  ASSERT_TRUE(shares.ok());
  EXPECT_EQ(shares->precision.mean, 1);
  EXPECT_EQ(shares->recall.mean, 1);
}

// Samples from the reference's own distribution: the kernel distance is unbiased, so that over many
// sets its mean is 0, to four of its errors; and a set that is moved away is far.
TEST(SetDistances, KernelDistanceOfTheSameLawIsZeroOnTheMean) {
  uint64_t state = 1;
  const auto uniform = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 40) / static_cast<double>(1 << 24);
  };
  const auto draw = [&](double shift) {
    FeatureSet set(3);
    std::vector<float> values;
    for (int i = 0; i < 3 * 40; ++i) values.push_back(static_cast<float>(uniform() + shift));
    set.add(values);
    return set;
  };
  std::vector<double> distances;
  for (int i = 0; i < 200; ++i) {
    const Result<KernelReference> reference = KernelReference::of(draw(0));
    ASSERT_TRUE(reference.ok());
    distances.push_back(reference->distance(draw(0), kBlocks)->mean);
  }
  const MeanAndError mean = mean_and_error(distances);
  EXPECT_LT(std::abs(mean.mean), 4 * mean.standard_error);
  const MeanAndError far = *KernelReference::of(draw(0))->distance(draw(0.5), kBlocks);
  EXPECT_GT(far.mean, 4 * far.standard_error);
}

TEST(FeatureStatistics, PartsAddUpAndCanBeTakenAway) {
  const FeatureSet& set = real();
  FeatureStatistics sum(kFeatures), part(kFeatures);
  part.add(set.vectors(0, 9));
  sum.add(part);
  FeatureStatistics rest(kFeatures);
  rest.add(set.vectors(9, set.count()));
  sum.add(rest);
  const FeatureStatistics whole = statistics_of(set);
  ASSERT_EQ(sum.count(), whole.count());
  for (size_t i = 0; i < whole.covariance().size(); ++i)
    EXPECT_NEAR(sum.covariance()[i], whole.covariance()[i], 1e-12);
  sum.remove(part);
  ASSERT_EQ(sum.count(), rest.count());
  for (size_t i = 0; i < rest.covariance().size(); ++i)
    EXPECT_NEAR(sum.covariance()[i], rest.covariance()[i], 1e-12);
  for (size_t i = 0; i < rest.mean().size(); ++i) EXPECT_NEAR(sum.mean()[i], rest.mean()[i], 1e-12);
}

TEST(SetDistances, WhatHasNoneIsRefused) {
  FeatureSet other(kFeatures + 1), one(kFeatures), bad = samples();
  other.add(std::vector<float>(12, 1.0f));
  one.add(std::vector<float>(kFeatures, 1.0f));
  std::vector<float> nan(kFeatures, std::numeric_limits<float>::quiet_NaN());
  bad.add(nan);
  const KernelReference reference = *KernelReference::of(real());
  EXPECT_NE(reference.distance(other, kBlocks).error().message.find("6 and of 5 features"),
            std::string::npos);
  EXPECT_NE(reference.distance(one, kBlocks).error().message.find("at least 2"), std::string::npos);
  EXPECT_EQ(reference.distance(bad, kBlocks).error().kind, ErrorKind::kDiverged);
  EXPECT_NE(precision_recall(one, real()).error().message.find("at least 4"), std::string::npos);
  EXPECT_FALSE(KernelReference::of(one).ok());
  EXPECT_FALSE(frechet_distance(one, statistics_of(real()), kBlocks).ok());
}

}  // namespace
}  // namespace ito::test
