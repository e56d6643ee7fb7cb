// Which images stand for a data set where fewer are wanted than it has.
#include "api/drawn_images.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace ito {
namespace {

TEST(DrawnImages, AreTheFirstOfTorchRandperm) {
  // torch.randperm(10, generator=torch.Generator().manual_seed(0))
  EXPECT_EQ(shuffled_images(10), (std::vector<int64_t>{4, 1, 7, 5, 3, 9, 0, 8, 6, 2}));
  EXPECT_EQ(drawn_images(10, 4), (std::vector<int64_t>{4, 1, 7, 5}));
}

TEST(DrawnImages, AreAllInTheirOwnOrderWhereThereAreNoMore) {
  EXPECT_EQ(drawn_images(3, 3), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(drawn_images(3, 100), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_TRUE(drawn_images(3, 0).empty());
  EXPECT_EQ(drawn_text(3, 100, "test images"), "all 3 test images");
  EXPECT_EQ(drawn_text(300, 100, "test images"), "100 test images, drawn from 300");
}

// In the order of the classes, and in turns of them: each has its share. 96 of three classes have a
// binomial standard deviation of 4.6 a class; five of them are 23.
TEST(DrawnImages, HaveEveryClassHoweverTheSetIsOrdered) {
  for (const int64_t per_class : {100, 500}) {
    std::vector<int> sorted(3), turns(3);
    const std::vector<int64_t> drawn = drawn_images(3 * per_class, 96);
    EXPECT_EQ(std::set<int64_t>(drawn.begin(), drawn.end()).size(), 96u);
    for (const int64_t image : drawn) {
      ++sorted[static_cast<size_t>(image / per_class)];
      ++turns[static_cast<size_t>(image % 3)];
    }
    for (const auto& counts : {sorted, turns}) {
      EXPECT_GE(*std::min_element(counts.begin(), counts.end()), 32 - 23);
      EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 32 + 23);
    }
  }
}

}  // namespace
}  // namespace ito
