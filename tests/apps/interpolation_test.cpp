// The great circle between latents.
#include "api/interpolation.h"

#include <gtest/gtest.h>

namespace ito {
namespace {

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(Slerp, WalksTheGreatCircle) {
  const std::vector<float> a = {1, 0, 0}, b = {0, 1, 0};
  expect_near(slerp(a, b, 0), a);
  expect_near(slerp(a, b, 1), b);
  expect_near(slerp(a, b, 1.0 / 3), {0.8660254f, 0.5f, 0});  // 30 of 90 degrees
}

TEST(Slerp, MixesParallelVectorsLinearly) {
  expect_near(slerp({1, 2}, {3, 6}, 0.5), {2, 4});
  expect_near(slerp({1, 2}, {1, 2}, 0.3), {1, 2});
}

}  // namespace
}  // namespace ito
