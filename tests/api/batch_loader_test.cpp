// Batches made by threads ahead of the training: the ones that BatchOrder says, whatever the
// threads do, and from anywhere.
#include "api/batch_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace ito::test {
namespace {

// 23 images of 2x3x1; image i has the values 10 i + pixel.
ImageDataset counted_images() {
  ImageDataset data;
  data.count = 23;
  data.h = 2;
  data.w = 3;
  data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < 23; ++i) {
    for (int p = 0; p < 6; ++p) data.pixels.push_back(static_cast<uint8_t>(10 * i + p));
    data.labels->push_back(i % 5);
  }
  return data;
}

TEST(BatchLoader, GivesTheBatchesOfTheOrder) {
  const ImageDataset data = counted_images();
  const BatchShape shape{.images = {4, 2, 3, 1}, .labels = true};
  BatchOrder order(data.count, 7);
  BatchLoader loader(data, shape, 7, 0);
  for (int64_t k = 0; k < 40; ++k) {
    const LoadedBatch& batch = *loader.next().value();
    const std::vector<int64_t> indices = order.images(4 * k, 4);
    ASSERT_EQ(batch.images.size(), 24u);
    ASSERT_EQ(batch.labels.size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(batch.labels[i], static_cast<uint32_t>(indices[i] % 5));
      for (size_t p = 0; p < 6; ++p)
        EXPECT_EQ(batch.images[6 * i + p],
                  static_cast<float>(10 * indices[i] + static_cast<int64_t>(p)) / 127.5f - 1.0f);
    }
  }
}

// Resumed in the middle, and with every other image mirrored.
TEST(BatchLoader, BeginsAnywhereAndMirrors) {
  const ImageDataset data = counted_images();
  const BatchShape shape{.images = {4, 2, 3, 1}, .flip = true}, plain{.images = {4, 2, 3, 1}};
  BatchLoader whole(data, shape, 3, 0), part(data, shape, 3, 11), straight(data, plain, 3, 0);
  BatchOrder order(data.count, 3);
  int mirrored = 0;
  for (int64_t k = 0; k < 20; ++k) {
    const std::vector<float> images = whole.next().value()->images,
                             unturned = straight.next().value()->images;
    if (k >= 11) {
      EXPECT_EQ(part.next().value()->images, images) << k;
    }
    for (int64_t i = 0; i < 4; ++i) {
      const bool turned = order.mirrored(4 * k + i);
      mirrored += turned ? 1 : 0;
      for (int64_t y = 0; y < 2; ++y)
        for (int64_t x = 0; x < 3; ++x)
          EXPECT_EQ(images[static_cast<size_t>(6 * i + 3 * y + x)],
                    unturned[static_cast<size_t>(6 * i + 3 * y + (turned ? 2 - x : x))]);
    }
  }
  EXPECT_GT(mirrored, 20);
  EXPECT_LT(mirrored, 60);
}

// Images that are larger than what is drawn of them: elsewhere each time, and again so from
// anywhere.
TEST(BatchLoader, CutsAnewWheneverAnImageIsDrawn) {
  ImageDataset data = counted_images();
  data.w = 2;
  for (int64_t i = 0; i < data.count; ++i) data.whole.push_back({2, 3, 6 * i});
  const BatchShape shape{.images = {4, 2, 2, 1}};
  BatchLoader whole(data, shape, 5, 0), part(data, shape, 5, 9);
  BatchOrder order(data.count, 5);
  std::map<int64_t, std::set<float>> seen;  // image, first values
  for (int64_t k = 0; k < 60; ++k) {
    const std::vector<float> images = whole.next().value()->images;
    if (k >= 9) {
      EXPECT_EQ(part.next().value()->images, images) << k;
    }
    const std::vector<int64_t> indices = order.images(4 * k, 4);
    for (size_t i = 0; i < 4; ++i) {
      const bool right = order.cut(4 * k + static_cast<int64_t>(i))[1] >> 31 != 0;
      EXPECT_EQ(images[4 * i], static_cast<float>(10 * indices[i] + (right ? 1 : 0)) / 127.5f - 1);
      seen[indices[i]].insert(images[4 * i]);
    }
  }
  // Ten draws of an image all at one place: one in 512.
  const auto both = std::count_if(seen.begin(), seen.end(),
                                  [](const auto& image) { return image.second.size() == 2; });
  EXPECT_GE(both, 21);
}

// Images in files: an error of one is the batch's.
TEST(BatchLoader, SaysWhatCouldNotBeRead) {
  ImageDataset data = counted_images();
  data.pixels.clear();
  const auto decode = [](int64_t i) -> Result<Picture> {
    if (i == 17) return Error{ErrorKind::kCorrupt, "17.png: damaged"};
    return Picture{.h = 2, .w = 3, .c = 1, .samples = std::vector<uint16_t>(6, 9)};
  };
  data.files = std::make_shared<const PictureFiles>(PictureFiles{.hash = 0, .decode = decode});
  BatchLoader loader(data, {.images = {23, 2, 3, 1}}, 1, 0);
  const auto batch = loader.next();
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().message, "17.png: damaged");
}

// A loader that nobody asks any more ends with what it holds.
TEST(BatchLoader, EndsWhileBatchesAreMade) {
  const ImageDataset data = counted_images();
  for (int i = 0; i < 50; ++i) {
    BatchLoader loader(data, {.images = {4, 2, 3, 1}}, 1, 0);
    if (i % 2 == 1) (void)loader.next();
  }
}

}  // namespace
}  // namespace ito::test
