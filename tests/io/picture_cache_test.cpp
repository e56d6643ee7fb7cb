// Decoded pictures in a file: what a data set is from it and from memory, when it is made anew, and
// what happens to a damaged one.
#include <gtest/gtest.h>

#include <filesystem>

#include "io/dataset.h"
#include "io/ordered_map.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::succeeds;
using test::TempFolder;

Image picture(int c, int number) {
  Image image{6, 5, c, {}};
  for (int i = 0; i < 6 * 5 * c; ++i)
    image.pixels.push_back(static_cast<uint8_t>(31 * number + 7 * i));
  return image;
}

// The values as a network sees them.
std::vector<float> values_of(const ImageDataset& data) {
  std::vector<float> values(static_cast<size_t>(data.count) * data.image_size());
  std::vector<int64_t> all;
  for (int64_t i = 0; i < data.count; ++i) all.push_back(i);
  EXPECT_TRUE(normalised_images(data, all, data.h, data.w, values.data()).ok());
  return values;
}

// Grey pictures, then a coloured one: the cache is begun for one channel and made for three.
void write_pictures(const Path& folder, int count) {
  for (int i = 0; i < count; ++i)
    succeeds(write_png(folder / (std::to_string(10 + i) + ".png"), picture(i == 5 ? 3 : 1, i)));
}

int64_t files_in(const Path& folder) {
  int64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(PictureCache, HoldsWhatMemoryWould) {
  const TempFolder folder;
  const Path root = folder.path() / "pictures";
  succeeds(make_folders(root / "a"));
  succeeds(make_folders(root / "b"));
  write_pictures(root / "a", 9);
  write_pictures(root / "b", 4);
  DatasetOptions plain, cached;
  cached.reading.cache = folder.path() / "cache";
  const ImageDataset memory = open_dataset(root, Split::kTrain, plain).value();
  for (int call = 0; call < 2; ++call) {
    const ImageDataset mapped = open_dataset(root, Split::kTrain, cached).value();
    EXPECT_TRUE(mapped.pixels.empty());
    EXPECT_EQ(mapped.count, memory.count);
    EXPECT_EQ(mapped.c, 3);
    EXPECT_EQ(mapped.labels, memory.labels);
    EXPECT_EQ(mapped.facts.least, memory.facts.least);
    EXPECT_EQ(mapped.facts.most, memory.facts.most);
    EXPECT_EQ(values_of(mapped), values_of(memory));
    EXPECT_EQ(files_in(cached.reading.cache), 2);
    // Parts of it, and what is held out, refer to the same pages.
    const ImageDataset some = selected(mapped, {3, 11, 0}), same = selected(memory, {3, 11, 0});
    EXPECT_EQ(values_of(some), values_of(same));
    EXPECT_EQ(values_of(selected(some, {2, 1})), values_of(selected(same, {2, 1})));
    EXPECT_EQ(values_of(pad_to(mapped, 8, 8, 3).value()),
              values_of(pad_to(memory, 8, 8, 3).value()));
  }
}

TEST(PictureCache, IsMadeAnewForOtherPicturesAndOptions) {
  const TempFolder folder;
  succeeds(make_folders(folder.path() / "pictures"));
  write_pictures(folder.path() / "pictures", 4);
  DatasetOptions options;
  options.reading.cache = folder.path() / "cache";
  const auto open = [&] {
    return open_dataset(folder.path() / "pictures", Split::kTrain, options).value();
  };
  open();
  EXPECT_EQ(files_in(options.reading.cache), 2);
  write_pictures(folder.path() / "pictures", 5);
  EXPECT_EQ(open().count, 5);
  EXPECT_EQ(files_in(options.reading.cache), 4);
  options.width = options.height = 4;
  EXPECT_EQ(open().w, 4);
  EXPECT_EQ(files_in(options.reading.cache), 6);
}

TEST(PictureCache, ADamagedOneIsMadeAnewAndSaidSo) {
  const TempFolder folder;
  succeeds(make_folders(folder.path() / "pictures"));
  write_pictures(folder.path() / "pictures", 4);
  for (const bool whole : {false, true}) {  // images of one size, and such as are cut when drawn
    DatasetOptions options;
    options.reading.cache = folder.path() / (whole ? "whole" : "cache");
    options.reading.drawn = true;
    if (whole) {
      options.width = options.height = 3;
      options.crop = CropPlace::kRandom;
    }
    const auto open = [&] {
      return open_dataset(folder.path() / "pictures", Split::kTrain, options);
    };
    const ImageDataset good = open().value();
    EXPECT_TRUE(good.facts.notes.empty());
    const auto damages = {+[](std::string bytes) { return bytes.substr(0, bytes.size() - 1); },
                          +[](std::string bytes) {
                            bytes.back() = static_cast<char>(bytes.back() ^ 1);
                            return bytes;
                          },
                          +[](std::string) { return std::string(200, 'x'); }};
    std::vector<Path> files;
    for (const auto& entry : std::filesystem::directory_iterator(options.reading.cache))
      files.push_back(entry.path());
    EXPECT_EQ(files.size(), whole ? 3u : 2u);
    for (const Path& file : files) {
      // A number in the facts that is another.
      if (file.extension() == ".json") {
        std::string facts = test::bytes_of(file);
        const size_t least = facts.find("\"least\":") + 9;
        facts.insert(facts.find_first_of("0123456789", least), "1");
        test::put(file, facts);
        EXPECT_EQ(open().value().facts.least, good.facts.least);
      }
      for (const auto& damage : damages) {
        // A last line without its end is as good.
        const std::string bytes = test::bytes_of(file);
        const std::string worse = damage(bytes);
        if (file.extension() == ".json" && bytes == worse + "\n") continue;
        test::put(file, worse);
        const auto again = open();
        ASSERT_TRUE(succeeds(again)) << file;
        ASSERT_EQ(again->facts.notes.size(), 1u) << file;
        EXPECT_NE(again->facts.notes[0].find("has been made anew"), std::string::npos);
        EXPECT_EQ(values_of(*again), values_of(good));
        EXPECT_TRUE(open()->facts.notes.empty());
      }
    }
  }
}

TEST(PictureCache, DoesNotLieAmongThePicturesButUnderAHiddenName) {
  const TempFolder folder;
  write_pictures(folder.path(), 4);
  DatasetOptions options;
  options.reading.cache = folder.path() / "cache";
  EXPECT_TRUE(test::fails(open_dataset(folder.path(), Split::kTrain, options),
                          ErrorKind::kInvalidArgument, "--cache", "choose another folder"));
  EXPECT_FALSE(std::filesystem::exists(options.reading.cache));
  options.reading.cache = folder.path() / ".cache";
  for (int call = 0; call < 2; ++call) {
    const auto data = open_dataset(folder.path(), Split::kTrain, options);
    ASSERT_TRUE(succeeds(data));
    EXPECT_EQ(data->count, 4);
    EXPECT_TRUE(data->facts.left_out.empty());
  }
}

TEST(PictureCache, AnotherSizeIsAnErrorAndLeavesNothing) {
  const TempFolder folder;
  succeeds(make_folders(folder.path() / "pictures"));
  write_pictures(folder.path() / "pictures", 4);
  succeeds(write_png(folder.path() / "pictures" / "20.png", Image{2, 2, 1, {1, 2, 3, 4}}));
  DatasetOptions options;
  options.reading.cache = folder.path() / "cache";
  const auto opened = open_dataset(folder.path() / "pictures", Split::kTrain, options);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("--resize"), std::string::npos);
  EXPECT_EQ(files_in(options.reading.cache), 0);
}

TEST(Reading, CanBeStopped) {
  const TempFolder folder;
  write_pictures(folder.path(), 9);
  DatasetOptions options;
  int64_t heard = 0;
  options.reading.progress = [&](int64_t done, int64_t all) -> Status {
    EXPECT_EQ(all, 9);
    heard = done;
    if (done == 3) return Error{ErrorKind::kInterrupted, "enough"};
    return {};
  };
  const auto stopped = open_dataset(folder.path(), Split::kTrain, options);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().kind, ErrorKind::kInterrupted);
  EXPECT_EQ(heard, 3);
}

TEST(OrderedMap, HandsResultsOverInOrderAndStopsAtTheFirstError) {
  std::vector<int64_t> taken;
  const std::function<Result<int64_t>(int64_t)> make = [](int64_t i) -> Result<int64_t> {
    if (i == 70) return Error{ErrorKind::kCorrupt, "seventy"};
    return i * i;
  };
  const std::function<Status(int64_t, int64_t)> take = [&](int64_t i, int64_t value) -> Status {
    EXPECT_EQ(value, i * i);
    taken.push_back(i);
    return {};
  };
  EXPECT_TRUE(ordered_map<int64_t>(50, 4, make, take).ok());
  ASSERT_EQ(taken.size(), 50u);
  for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(taken[static_cast<size_t>(i)], i);
  taken.clear();
  const Status failed = ordered_map<int64_t>(100, 4, make, take);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "seventy");
  EXPECT_EQ(taken.size(), 70u);
  EXPECT_TRUE(ordered_map<int64_t>(0, 4, make, take).ok());
}

}  // namespace
}  // namespace ito
