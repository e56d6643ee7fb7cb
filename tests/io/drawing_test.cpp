// What a network sees of pictures that are cut whenever they are drawn, and of those that stay in
// their files: the same as of pictures in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/hash.h"
#include "io/datasets/batch_order.h"
#include "io/datasets/image_distance.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::succeeds;
using test::TempFolder;

// Column x of a row has the level 10 x.
Image columns(int h, int w, int c) {
  Image image{h, w, c, {}};
  for (int i = 0; i < h * w; ++i)
    for (int k = 0; k < c; ++k) image.pixels.push_back(static_cast<uint8_t>(10 * (i % w) + k));
  return image;
}

// Pictures of several shapes, of which the sixth is the first in colour.
void write_pictures(const Path& folder) {
  succeeds(make_folders(folder));
  for (int i = 0; i < 9; ++i)
    succeeds(write_png(folder / (std::to_string(10 + i) + ".png"),
                       columns(4 + 3 * (i % 3), 4 + i, i == 5 ? 3 : 1)));
}

std::vector<float> drawn(const ImageDataset& data, const std::vector<CutPlace>& cuts) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < data.count; ++i) all.push_back(i);
  std::vector<float> values(all.size() * data.image_size());
  succeeds(normalised_images(data, all, data.h, data.w, values.data(), cuts));
  return values;
}

std::vector<CutPlace> some_cuts(size_t n) {
  const BatchOrder order(1, 3);
  std::vector<CutPlace> cuts;
  for (size_t i = 0; i < n; ++i) cuts.push_back(order.cut(static_cast<int64_t>(i)));
  return cuts;
}

DatasetOptions random_crop() {
  DatasetOptions options{.width = 4, .height = 4, .crop = CropPlace::kRandom};
  options.reading.drawn = true;
  return options;
}

TEST(Drawing, RandomCutsReachEveryPlaceEquallyOften) {
  const TempFolder folder;
  succeeds(write_png(folder.path() / "wide.png", columns(4, 9, 1)));
  const ImageDataset data = open_dataset(folder.path(), Split::kTrain, random_crop()).value();
  EXPECT_EQ(data.w, 4);
  EXPECT_EQ(data.h, 4);
  const BatchOrder order(1, 11);
  std::map<int, int> places;
  constexpr int kDraws = 6000;
  for (int64_t n = 0; n < kDraws; ++n) {
    std::vector<float> values(16);
    const CutPlace cut = order.cut(n);
    succeeds(normalised_images(data, {0}, 4, 4, values.data(), std::span(&cut, 1)));
    const auto level = [&](size_t x) { return (values[x] + 1) * 127.5f; };
    for (size_t x = 1; x < 4; ++x)
      ASSERT_NEAR(level(x), level(0) + 10.0f * static_cast<float>(x), 1e-3);
    ++places[static_cast<int>(std::lround(level(0) / 10))];
  }
  // Six places, 1000 times each; the deviation of a count is 29.
  ASSERT_EQ(places.size(), 6u);
  for (const auto& [place, count] : places) EXPECT_NEAR(count, 1000, 4 * 29) << place;
  EXPECT_EQ(places.begin()->first, 0);
  // Without a place it is the middle: column (9 - 4) / 2.
  std::vector<float> middle(16);
  succeeds(normalised_images(data, {0}, 4, 4, middle.data()));
  EXPECT_FLOAT_EQ(middle[0], 20 / 127.5f - 1);
}

// Those who look at bytes see of images that are only drawn what a cut in the middle leaves.
TEST(Drawing, WholeImagesAreCutInTheMiddleFromMemoryACacheAndFiles) {
  const TempFolder folder;
  const Path pictures = folder.path() / "pictures";
  write_pictures(pictures);
  DatasetOptions middle = random_crop(), cached = middle, files = middle;
  middle.crop = CropPlace::kCenter;
  cached.reading.cache = folder.path() / "cache";
  files.reading.memory = 100;  // fewer than the pictures have bytes
  const ImageDataset wanted = open_dataset(pictures, Split::kTrain, middle).value();
  for (const DatasetOptions& options : {random_crop(), cached, files}) {
    const ImageDataset data = open_dataset(pictures, Split::kTrain, options).value();
    ASSERT_TRUE(data.files || !data.whole.empty());
    const auto cut = cut_in_the_middle(data);
    ASSERT_TRUE(succeeds(cut));
    EXPECT_EQ(cut->pixels, wanted.pixels);
    EXPECT_EQ(cut->count, wanted.count);
    EXPECT_EQ(std::vector<uint8_t>(cut->bytes_of(5).begin(), cut->bytes_of(5).end()),
              std::vector<uint8_t>(wanted.bytes_of(5).begin(), wanted.bytes_of(5).end()));
  }
}

TEST(Drawing, IsTheSameFromMemoryFromACacheAndFromFiles) {
  const TempFolder folder;
  const Path pictures = folder.path() / "pictures";
  write_pictures(pictures);
  for (const bool random : {true, false}) {
    DatasetOptions memory = random_crop();
    if (!random) memory.crop = CropPlace::kCenter;
    DatasetOptions cached = memory, files = memory;
    cached.reading.cache = folder.path() / "cache";
    files.reading.memory = 100;  // fewer than the pictures have bytes
    const ImageDataset a = open_dataset(pictures, Split::kTrain, memory).value();
    const ImageDataset c = open_dataset(pictures, Split::kTrain, files).value();
    EXPECT_FALSE(a.files);
    ASSERT_TRUE(c.files);
    EXPECT_THAT(c.facts.notes, testing::ElementsAre(testing::HasSubstr("--cache FOLDER")));
    const auto cuts = some_cuts(9);
    const std::string_view bytes(reinterpret_cast<const char*>(a.pixels.data()), a.pixels.size());
    for (int call = 0; call < 2; ++call) {
      const ImageDataset b = open_dataset(pictures, Split::kTrain, cached).value();
      ASSERT_TRUE(b.store);
      for (const ImageDataset* other : {&b, &c}) {
        EXPECT_EQ(drawn(*other, cuts), drawn(a, cuts));
        EXPECT_EQ(drawn(*other, {}), drawn(a, {}));
        EXPECT_EQ(drawn(selected(*other, {7, 2, 5}), some_cuts(3)),
                  drawn(selected(a, {7, 2, 5}), some_cuts(3)));
        EXPECT_EQ(other->facts.least, a.facts.least);
        EXPECT_EQ(other->facts.most, a.facts.most);
        // By which a run knows its images again.
        EXPECT_EQ(other->store ? other->store->hash : other->files->hash, hash_bytes(bytes));
        EXPECT_NEAR(largest_image_distance(*other).value(), largest_image_distance(a).value(),
                    1e-9);
      }
    }
    EXPECT_EQ(drawn(a, cuts) != drawn(a, {}), random);
  }
}

// What measures and does not draw: in the middle, and not more than fits.
TEST(Drawing, OthersSeeTheMiddleAndAnErrorWhereTooManyAreAskedFor) {
  const TempFolder folder;
  write_pictures(folder.path());
  DatasetOptions options = random_crop(), middle = options;
  middle.crop = CropPlace::kCenter;
  options.reading.drawn = middle.reading.drawn = false;
  const ImageDataset data = open_dataset(folder.path(), Split::kTrain, options).value();
  EXPECT_TRUE(data.whole.empty());
  EXPECT_EQ(data.pixels, open_dataset(folder.path(), Split::kTrain, middle)->pixels);
  options.reading.memory = 100;
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain, options), ErrorKind::kUnsupported,
                    "--cache FOLDER", "--memory"));
}

// A picture that was there when the training began.
TEST(Drawing, AFileThatHasGoneIsNamed) {
  const TempFolder folder;
  write_pictures(folder.path());
  DatasetOptions options = random_crop();
  options.reading.memory = 0;
  const ImageDataset data = open_dataset(folder.path(), Split::kTrain, options).value();
  std::filesystem::remove(folder.path() / "12.png");
  std::vector<float> values(data.image_size());
  succeeds(normalised_images(data, {1}, 4, 4, values.data()));
  EXPECT_TRUE(
      fails(normalised_images(data, {2}, 4, 4, values.data()), ErrorKind::kNotFound, "12.png"));
}

}  // namespace
}  // namespace ito
