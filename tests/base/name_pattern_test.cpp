#include "base/name_pattern.h"

#include <gtest/gtest.h>

namespace ito {
namespace {

TEST(NamePattern, StarsCoverAnyText) {
  for (const char* pattern : {"down_blocks.*", "*", "down*weight", "d*.0.*", "down_blocks.?.conv.*",
                              "down_blocks.0.conv.weight", "*.weight*", "**conv**"})
    EXPECT_TRUE(matches_pattern(pattern, "down_blocks.0.conv.weight")) << pattern;
  for (const char* pattern : {"", "down_block.*", "down*bias", "conv", "down_blocks.0.conv",
                              "down_blocks.??.conv.*", "own*", "?"})
    EXPECT_FALSE(matches_pattern(pattern, "down_blocks.0.conv.weight")) << pattern;
  EXPECT_TRUE(matches_pattern("a*b*c", "abbcbc"));  // a star that must take more than the least
  EXPECT_TRUE(matches_pattern("", ""));
}

TEST(NamePattern, WhatIsSpelledAlmostSoIsNearest) {
  const std::vector<std::string> names = {"conv_in.weight", "conv_in.bias",
                                          "down_blocks.0.conv.weight", "up_blocks.0.conv.weight"};
  EXPECT_EQ(near_patterns("down_block.*", names, 2),
            (std::vector<std::string>{"down_blocks.*", "down_blocks.0.*"}));
  EXPECT_EQ(near_patterns("conv_in_weight", names, 1),
            (std::vector<std::string>{"conv_in.weight"}));
  EXPECT_TRUE(near_patterns("x", {}, 3).empty());
}

}  // namespace
}  // namespace ito
