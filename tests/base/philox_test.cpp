#include "base/philox.h"

#include <gtest/gtest.h>

#include <array>

namespace ito {
namespace {

// The known answers that come with Random123.
TEST(Philox, GivesThePublishedKnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(
      philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, NormalsFollowTheStatedMapping) {
  const std::array<double, 4> normals = philox_normal({0, 0, 0, 0}, {0, 0});
  EXPECT_NEAR(normals[0], 0.991137683391571, 1e-6);
  EXPECT_NEAR(normals[1], -0.9246625900268555, 1e-6);
  EXPECT_NEAR(normals[2], -0.6176089644432068, 1e-6);
  EXPECT_NEAR(normals[3], -0.48206859827041626, 1e-6);
  EXPECT_GT(philox_uniform(0), 0);
  EXPECT_LT(philox_uniform(0xffffffffu), 1);
}

}  // namespace
}  // namespace ito
