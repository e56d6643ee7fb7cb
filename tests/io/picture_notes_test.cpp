// What is said of pictures once they are decoded: depths and ranges that are odd, and pages and
// frames that are left out.
#include <gmock/gmock.h>

#include <array>

#include "io/compress.h"
#include "io/dataset.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"

namespace ito {
namespace {

using test::bytes_of;
using test::put;
using test::succeeds;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

std::string number_of_bytes(uint32_t value, int bytes) {
  std::string text;
  for (int k = 0; k < bytes; ++k) text += static_cast<char>(value >> (8 * k));
  return text;
}

// Grey pages of one row of pixels each.
std::string tiff(int bits, const std::vector<std::vector<uint32_t>>& pages) {
  std::string file("II*\0\0\0\0\0", 8);
  size_t link = 4;
  for (const std::vector<uint32_t>& pixels : pages) {
    const auto data = static_cast<uint32_t>(file.size());
    const auto width = static_cast<uint32_t>(pixels.size());
    for (const uint32_t v : pixels) file += number_of_bytes(v, bits / 8);
    const auto bytes = static_cast<uint32_t>(file.size()) - data;
    if (file.size() % 2 != 0) file += '\0';
    file.replace(link, 4, number_of_bytes(static_cast<uint32_t>(file.size()), 4));
    constexpr uint32_t kShort = 3, kLong = 4;
    const std::array<std::array<uint32_t, 3>, 9> entries = {
        {{256, kShort, width},
         {257, kShort, 1},
         {258, kShort, static_cast<uint32_t>(bits)},
         {259, kShort, 1},
         {262, kShort, 1},
         {273, kLong, data},
         {277, kShort, 1},
         {278, kShort, 1},
         {279, kLong, bytes}}};
    file += number_of_bytes(entries.size(), 2);
    for (const auto& [tag, type, value] : entries)
      file += number_of_bytes(tag, 2) + number_of_bytes(type, 2) + number_of_bytes(1, 4) +
              number_of_bytes(value, 4);
    link = file.size();
    file += number_of_bytes(0, 4);
  }
  return file;
}

std::string grey(const std::vector<uint8_t>& pixels) {
  return encode_png({1, static_cast<int>(pixels.size()), 1, pixels});
}

// In memory, from a cache, and left in the files.
std::vector<ImageDataset> however_kept(const Path& folder) {
  const TempFolder cache;
  std::vector<ImageDataset> all;
  for (int k = 0; k < 4; ++k) {  // the cache is made, then found
    DatasetOptions options;
    options.reading.drawn = true;
    if (k == 1 || k == 2) options.reading.cache = cache.path();
    if (k == 3) options.reading.memory = 0;
    auto data = open_dataset(folder, Split::kTrain, options);
    EXPECT_TRUE(succeeds(data));
    if (!data.ok()) continue;
    std::erase_if(data->facts.notes, [](const std::string& note) {
      return note.find("decoded anew") != std::string::npos;
    });
    all.push_back(std::move(data).value());
  }
  return all;
}

TEST(PictureNotes, DepthsThatAreNotFullAreSaid) {
  TempFolder words, masks;
  put(words / "1.tif", tiff(16, {{0, 4095}}));
  put(words / "2.tif", tiff(16, {{7, 300}}));
  for (const ImageDataset& data : however_kept(words.path())) {
    EXPECT_THAT(data.facts.notes,
                ElementsAre(HasSubstr("16 bits is above 4095, and 65535 is taken for white")));
    EXPECT_EQ(data.facts.most, 4095);
  }
  put(masks / "1.png", grey({0, 1}));
  put(masks / "2.png", grey({1, 1}));
  for (const ImageDataset& data : however_kept(masks.path()))
    EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("above 1, and 255 is taken for white")));
}

TEST(PictureNotes, PicturesOfTwoDepthsHaveOneRange) {
  TempFolder folder;
  put(folder / "1.tif", tiff(16, {{300, 50000}}));
  put(folder / "2.png", grey({2, 255}));
  for (const ImageDataset& data : however_kept(folder.path())) {
    EXPECT_THAT(
        data.facts.notes,
        ElementsAre("1 of the pictures are of 8 bits, 1 of 16; the values are told as of 16 bits"));
    EXPECT_EQ(data.facts.least, 300);
    EXPECT_EQ(data.facts.most, 65535);
  }
}

// An animation as its acTL chunk, behind the header, says it.
std::string animated(const std::string& png) {
  const std::string content("acTL\0\0\0\2\0\0\0\0", 12);
  std::string chunk("\0\0\0\x08", 4);
  chunk += content;
  const uint32_t crc = crc32_of(content);
  for (int k = 3; k >= 0; --k) chunk += static_cast<char>(crc >> (8 * k));
  constexpr size_t kHeader = 33;
  return png.substr(0, kHeader) + chunk + png.substr(kHeader);
}

TEST(PictureNotes, PagesAndFramesThatAreLeftOutAreCounted) {
  const Path made = Path(test::source_folder()) / "tests" / "data" / "pictures" / "made";
  TempFolder pages;
  put(pages / "1.tif", tiff(8, {{0, 200}, {1, 100}, {2, 50}}));
  put(pages / "2.tif", tiff(8, {{3, 200}}));
  for (const ImageDataset& data : however_kept(pages.path())) {
    EXPECT_EQ(data.count, 2);
    EXPECT_THAT(
        data.facts.notes,
        ElementsAre(HasSubstr("1 picture has further pages or frames, which are left out")));
  }
  for (const char* name : {"animated.gif", "animated.webp"})
    EXPECT_TRUE(read_picture(made / name)->first_of_several) << name;
  for (const char* name : {"transparent.gif", "lossy.webp", "lzw.tif", "palette.png", "turned.png"})
    EXPECT_FALSE(read_picture(made / name)->first_of_several) << name;
  EXPECT_TRUE(decode_picture(animated(grey({0, 9})), "a.png")->first_of_several);
}

}  // namespace
}  // namespace ito
