#include "io/png.h"

#include <cmath>
#include <limits>

#include "io/image.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using test::unhex;

// Made with Python's zlib: 2x2 RGB; tEXt Author "Jörg" in Latin-1, zTXt parameters {"seed":7},
// iTXt note "größe".
constexpr const char* kPythonPng =
    "89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a730000000b7445587441757468"
    "6f72004af67267f3e012750000001e7a545874706172616d65746572730000789cab562a4e4d4d51b232af0500"
    "12d8034fa3a7b7cc00000017695458746e6f74650000006465004e6f74697a006772c3b6c39f65e686b47e0000"
    "001349444154789c63f8cfc0c000c20cffb944e4001a58033a5663a23c0000000049454e44ae426082";

TEST(Png, RoundsAsDiffusersDoes) {
  EXPECT_EQ(to_byte(-1), 0);
  EXPECT_EQ(to_byte(1), 255);
  EXPECT_EQ(to_byte(0), 128);  // 127.5, a tie, to even
  EXPECT_EQ(to_byte(-5), 0);
  EXPECT_EQ(to_byte(5), 255);
  EXPECT_EQ(to_byte(std::numeric_limits<float>::quiet_NaN()), 0);
  EXPECT_EQ(to_byte(std::numeric_limits<float>::infinity()), 255);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(to_byte(static_cast<float>(i) / 127.5f - 1), i);
}

TEST(Png, PixelsRoundTrip) {
  for (int c : {1, 3, 4}) {
    Image image{3, 5, c, {}};
    for (int i = 0; i < 15 * c; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 37));
    EXPECT_EQ(*decode_image(encode_png(image), "p", c), image);
  }
}

TEST(Png, SettingsRoundTripInATextChunk) {
  TempFolder folder;
  Json settings = {{"seed", 42}, {"model", "größe \n"}, {"steps", 50}};
  Image image{1, 1, 3, {1, 2, 3}};
  ASSERT_TRUE(succeeds(write_png(folder / "a.png", image, &settings)));
  EXPECT_EQ(*read_png_settings(folder / "a.png"), settings);
  EXPECT_EQ(*read_image(folder / "a.png"), image);
  std::string bytes = bytes_of(folder / "a.png");
  // Straight after the 33 bytes of signature and image header.
  EXPECT_EQ(bytes.substr(37, 15), std::string("tEXtparameters\0", 15));
  ASSERT_TRUE(succeeds(write_png(folder / "b.png", image)));
  EXPECT_TRUE(fails(read_png_settings(folder / "b.png"), ErrorKind::kNotFound, "b.png"));
  EXPECT_EQ(bytes, encode_png(image, &settings));
}

TEST(Png, ReadsOtherWritersChunks) {
  const std::string png = unhex(kPythonPng);
  EXPECT_EQ(**png_text(png, "Author", "p"), "Jörg");
  EXPECT_EQ(**png_text(png, "parameters", "p"), R"({"seed":7})");
  EXPECT_EQ(**png_text(png, "note", "p"), "größe");
  EXPECT_FALSE(png_text(png, "other", "p")->has_value());
  EXPECT_EQ(*decode_image(png, "p"),
            (Image{2, 2, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30}}));
}

TEST(Png, DamagedFilesAreNamed) {
  const std::string png = unhex(kPythonPng);
  EXPECT_TRUE(fails(png_text("GIF89a", "k", "p.png"), ErrorKind::kCorrupt, "p.png: not a PNG"));
  EXPECT_TRUE(fails(decode_image("GIF89a", "p.png"), ErrorKind::kCorrupt, "p.png"));
  std::string flipped = png;
  flipped[50] = static_cast<char>(flipped[50] ^ 1);
  EXPECT_TRUE(fails(png_text(flipped, "note", "p.png"), ErrorKind::kCorrupt, "checksum", "tEXt"));
  for (size_t size = 0; size < png.size(); ++size) {
    std::string_view cut = std::string_view(png).substr(0, size);
    EXPECT_FALSE(png_text(cut, "other", "p").ok()) << size;
  }
  EXPECT_FALSE(decode_image(std::string_view(png).substr(0, 150), "p").ok());
  // A header that claims 2^24 x 2^24 pixels must not be believed.
  std::string huge = png;
  huge[17] = huge[21] = '\x7f';
  EXPECT_FALSE(decode_image(huge, "p").ok());
}

TEST(Png, GridPlacesImagesRowByRow) {
  // Three 1x2 grey images, two columns, a gap of one.
  std::vector<float> values = {-1, 1, 1, -1, 1, 1};
  Image grid = grid_from_floats(values, {3, 1, 2, 1}, 2, 1, 7);
  EXPECT_EQ(grid.h, 5);
  EXPECT_EQ(grid.w, 7);
  const std::vector<uint8_t> expected = {7, 7,   7,   7, 7,   7, 7,  //
                                         7, 0,   255, 7, 255, 0, 7,  //
                                         7, 7,   7,   7, 7,   7, 7,  //
                                         7, 255, 255, 7, 7,   7, 7,  //
                                         7, 7,   7,   7, 7,   7, 7};
  EXPECT_EQ(grid.pixels, expected);
  EXPECT_EQ(grid_from_floats(std::vector<float>(10), {10, 1, 1, 1}, 0, 0).w, 4);
}

TEST(Image, ResizeKeepsConstantsAndRamps) {
  Image constant{5, 7, 1, std::vector<uint8_t>(35, 93)};
  EXPECT_EQ(resize(constant, 3, 11).pixels, std::vector<uint8_t>(33, 93));
  // Halving with a triangle of radius 2 weighs the four neighbours 1:3:3:1.
  Image row{1, 8, 1, {0, 0, 0, 80, 0, 0, 0, 0}};
  EXPECT_EQ(resize(row, 1, 4).pixels, (std::vector<uint8_t>{0, 30, 10, 0}));
  Image ramp{1, 4, 1, {0, 40, 80, 120}};
  EXPECT_EQ(resize(ramp, 1, 8).pixels, (std::vector<uint8_t>{0, 10, 30, 50, 70, 90, 110, 120}));
  EXPECT_EQ(resize(ramp, 1, 4), ramp);
}

}  // namespace
}  // namespace ito
