#include "io/datasets/image_distance.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ito::test {
namespace {

TEST(ImageDistance, FindsTheFarthestPair) {
  ImageDataset data;
  data.count = 40;
  data.h = 2;
  data.w = 1;
  data.c = 1;
  for (int i = 0; i < 40; ++i)
    for (int p = 0; p < 2; ++p) data.pixels.push_back(static_cast<uint8_t>(100 + (i * 7 + p) % 11));
  data.pixels[2 * 17] = 0;  // image 17: (0, 255), image 30: (255, 0)
  data.pixels[2 * 17 + 1] = 255;
  data.pixels[2 * 30] = 255;
  data.pixels[2 * 30 + 1] = 0;
  EXPECT_NEAR(largest_image_distance(data).value(), std::sqrt(8.0), 1e-12);
  data.count = 1;
  EXPECT_EQ(largest_image_distance(data).value(), 0);
}

}  // namespace
}  // namespace ito::test
