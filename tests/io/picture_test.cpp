#include "io/pictures/picture.h"

#include <random>

#include "io/compress.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::unhex;

Path data_folder() { return Path(test::source_folder()) / "tests" / "data" / "pictures"; }

// Red, green, blue, alpha of all pixels at 8 bits; of 16-bit files the upper ones, as Pillow has
// it.
std::string rgba_bytes(const Picture& picture, bool alpha) {
  std::string out;
  const size_t c = static_cast<size_t>(picture.c);
  const int shift = picture.bits - 8;
  for (size_t i = 0; i < picture.samples.size(); i += c) {
    for (size_t k = 0; k < 3; ++k)
      out += static_cast<char>(picture.samples[i + (c >= 3 ? k : 0)] >> shift);
    out +=
        static_cast<char>(alpha && picture.has_alpha() ? picture.samples[i + c - 1] >> shift : 255);
  }
  return out;
}

std::string grey_words(const Picture& picture) {
  std::string out;
  for (size_t i = 0; i < picture.samples.size(); i += static_cast<size_t>(picture.c)) {
    out += static_cast<char>(picture.samples[i] & 255);
    out += static_cast<char>(picture.samples[i] >> 8);
  }
  return out;
}

TEST(Picture, EveryFileDecodesToPillowsValues) {
  const Json expected = read_json(data_folder() / "expected.json").value();
  ASSERT_GT(expected.size(), 80u);
  for (const auto& [name, entry] : expected.items()) {
    SCOPED_TRACE(name);
    const auto picture = read_picture(data_folder() / name);
    ASSERT_TRUE(picture.ok()) << picture.error().message;
    EXPECT_EQ(picture->w, entry["width"]);
    EXPECT_EQ(picture->h, entry["height"]);
    if (entry["bits"] == 16) {
      EXPECT_EQ(picture->bits, 16);
      EXPECT_EQ(crc32_of(grey_words(*picture)), entry["crc32"].get<uint32_t>());
    } else {
      EXPECT_EQ(crc32_of(rgba_bytes(*picture, entry["alpha"])), entry["crc32"].get<uint32_t>());
    }
  }
}

TEST(Picture, SixteenBitsAreKept) {
  for (const char* name : {"pngsuite/basn0g16.png", "pngsuite/basn2c16.png", "made/rgb16.tif"}) {
    const Picture picture = read_picture(data_folder() / name).value();
    EXPECT_EQ(picture.bits, 16) << name;
    bool low_bits = false;
    for (const uint16_t v : picture.samples) low_bits = low_bits || v % 257 != 0;
    EXPECT_TRUE(low_bits) << name;
  }
}

TEST(Picture, TheColourThatTrnsNamesIsTransparentAtItsOwnDepth) {
  // By the .sng beside the original: the background of these is the named colour, in 16 bits.
  for (const char* name : {"ftbbn2c16.png", "ftbgn2c16.png", "ftbwn0g16.png", "ftbbn0g01.png"}) {
    const Picture picture = read_picture(data_folder() / "pngsuite" / name).value();
    EXPECT_TRUE(picture.is_transparent()) << name;
    EXPECT_EQ(picture.samples[static_cast<size_t>(picture.c) - 1], 0) << name;  // the corner
  }
}

TEST(Picture, EveryDamagedPngOfGolangIsRefused) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data_folder() / "invalid")) {
    EXPECT_TRUE(fails(read_picture(entry.path()), ErrorKind::kCorrupt, "damaged image"))
        << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 5);
}

// Refused with a reason, whatever the format, wherever the file ends: but a GIF needs no trailer,
// and what follows the pixels of a WebP or TIFF may be missing.
TEST(Picture, TruncatedFilesAreRefused) {
  for (const char* name :
       {"pngsuite/basn2c08.png", "made/420.jpg", "made/444-progressive.jpg", "made/lossy.webp",
        "made/lossless-alpha.webp", "made/animated.webp", "made/grey16.tif", "made/lzw.tif",
        "made/animated.gif", "made/24.bmp", "made/rle8.bmp", "made/palette.bmp"}) {
    const std::string whole = bytes_of(data_folder() / name);
    for (const double share : {0.1, 0.3, 0.5, 0.7, 0.9}) {
      const bool second_frame = std::string_view(name) == "made/animated.gif" && share > 0.4;
      if (second_frame) continue;
      const auto size = static_cast<size_t>(share * static_cast<double>(whole.size()));
      EXPECT_FALSE(decode_picture(whole.substr(0, size), "cut").ok()) << name << " " << share;
    }
  }
}

TEST(Picture, AByteOfPixelDataThatChangedIsNoticedInPng) {
  const std::string whole = bytes_of(data_folder() / "pngsuite" / "basn6a08.png");
  const size_t data = whole.find("IDAT") + 4;
  for (size_t at = data; at + 16 < whole.size(); at += 7) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_TRUE(fails(decode_picture(bad, "bad.png"), ErrorKind::kCorrupt, "bad.png: damaged"))
        << at;
  }
}

// A Huffman table that lists more codes than a byte can name.
TEST(Picture, JpegTablesThatOverflowAreRefused) {
  const std::string whole = bytes_of(data_folder() / "made" / "420.jpg");
  const size_t table = whole.find("\xff\xc4");
  ASSERT_NE(table, std::string::npos);
  for (const int lengths : {1, 4, 16}) {
    std::string bad = whole;
    for (int i = 0; i < lengths; ++i) bad[table + 5 + static_cast<size_t>(i)] = '\xff';
    EXPECT_TRUE(fails(decode_picture(bad, "x"), ErrorKind::kCorrupt, "damaged")) << lengths;
  }
}

TEST(Picture, APaletteIndexWithoutAnEntryIsRefused) {
  // Two pixels of a palette of one colour; the second may be index 1.
  const auto chunk = [](std::string type_and_data) {
    const uint32_t size = static_cast<uint32_t>(type_and_data.size()) - 4;
    const uint32_t crc = crc32_of(type_and_data);
    std::string out;
    for (int s = 24; s >= 0; s -= 8) out += static_cast<char>(size >> s & 255);
    out += type_and_data;
    for (int s = 24; s >= 0; s -= 8) out += static_cast<char>(crc >> s & 255);
    return out;
  };
  const auto file = [&](char index) {
    std::string header = "IHDR" + unhex("00000002000000010803000000");
    // One stored deflate block: filter 0, pixels 0 and `index`, then the Adler-32 of the three.
    const uint32_t a = 1u + static_cast<uint32_t>(index);
    const uint32_t b = 1 + 1 + a;
    std::string data = "IDAT" + unhex("7801010300fcff0000") + index;
    for (const uint32_t v : {b >> 8, b, a >> 8, a}) data += static_cast<char>(v & 255);
    return unhex("89504e470d0a1a0a") + chunk(header) + chunk("PLTE" + unhex("ff0000")) +
           chunk(data) + chunk("IEND");
  };
  const auto good = decode_picture(file(0), "good");
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_EQ(good->samples, (std::vector<uint16_t>{255, 0, 0, 255, 0, 0}));
  // Said by libpng itself in some versions.
  EXPECT_TRUE(fails(decode_picture(file(1), "bad"), ErrorKind::kCorrupt, "palette"));
}

TEST(Picture, SizesBeyondTheFileAreRefusedBeforeAllocation) {
  const std::string bmp = bytes_of(data_folder() / "made" / "rle8.bmp");
  std::string huge = bmp;
  huge.replace(18, 8, unhex("ff7f0000ff7f0000"));
  EXPECT_TRUE(fails(decode_picture(huge, "x"), ErrorKind::kCorrupt, "32767x32767"));
  std::string gif = bytes_of(data_folder() / "made" / "animated.gif");
  gif.replace(6, 4, unhex("ffffffff"));
  EXPECT_TRUE(fails(decode_picture(gif, "x"), ErrorKind::kCorrupt, "65535x65535"));
  std::string jpeg = bytes_of(data_folder() / "made" / "420.jpg");
  const size_t frame = jpeg.find(std::string("\xff\xc0\x00\x11", 4));
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, unhex("ffdcffdc"));
  EXPECT_TRUE(fails(decode_picture(jpeg, "x"), ErrorKind::kCorrupt, "65500x65500"));
}

TEST(Picture, TransparencyIsPutOnABackground) {
  const Picture grey{1, 3, 2, 8, {10, 255, 10, 0, 100, 128}};
  EXPECT_EQ(flattened(grey).samples, (std::vector<uint16_t>{10, 255, 177}));
  EXPECT_EQ(flattened(grey, *parse_background("black", "--background")).samples,
            (std::vector<uint16_t>{10, 0, 50}));
  const Picture red = flattened(grey, *parse_background("#ff0000", "--background"));
  EXPECT_EQ(red.c, 3);
  EXPECT_EQ(red.samples, (std::vector<uint16_t>{10, 10, 10, 255, 0, 0, 177, 50, 50}));
  const Picture deep{1, 2, 4, 16, {1, 2, 3, 65535, 9, 9, 9, 0}};
  EXPECT_EQ(flattened(deep).samples, (std::vector<uint16_t>{1, 2, 3, 65535, 65535, 65535}));
  EXPECT_EQ(parse_background("128", "--background")->rgb, (std::array<uint8_t, 3>{128, 128, 128}));
  for (const char* text : {"", "whit", "256", "#12345", "#12345g", "-1"})
    EXPECT_TRUE(fails(parse_background(text, "--background"), ErrorKind::kInvalidArgument,
                      "--background", "#rrggbb"))
        << text;
}

TEST(Picture, ColourBecomesGreyByLumaAsInPillow) {
  // Image.new("RGB", (1, 1), v).convert("L") for pure red, green, blue, and a mixture.
  const Picture rgb{1, 4, 3, 8, {255, 0, 0, 0, 255, 0, 0, 0, 255, 12, 200, 90}};
  EXPECT_EQ(with_channels(rgb, 1).samples, (std::vector<uint16_t>{76, 150, 29, 131}));
  EXPECT_EQ(with_channels(with_channels(rgb, 1), 3).samples.size(), 12u);
}

TEST(Picture, FormatsAreKnownByContentAndByEnding) {
  EXPECT_EQ(picture_format_of_ending(".JPG")->name.name, "JPEG");
  EXPECT_EQ(picture_format_of_ending("tif")->name.name, "TIFF");
  EXPECT_EQ(picture_format_of_ending(".heic"), nullptr);
  EXPECT_EQ(picture_format(bytes_of(data_folder() / "made" / "24.bmp"))->name.name, "BMP");
  EXPECT_EQ(picture_format(""), nullptr);
  EXPECT_TRUE(fails(decode_picture("hello", "a.png"), ErrorKind::kCorrupt, "a.png: not a picture",
                    "PNG, JPEG, WebP, TIFF, GIF or BMP"));
}

// Whatever is damaged, the answer is a picture or an error.
TEST(Picture, RandomDamageIsAPictureOrAnError) {
  std::mt19937 random(7);
  for (const char* name :
       {"pngsuite/basn3p04-31i.png", "made/palette-alpha.png", "made/420.jpg",
        "made/444-progressive.jpg", "made/cmyk.jpg", "made/lossy-alpha.webp", "made/animated.webp",
        "made/lzw.tif", "made/jpeg.tif", "made/palette.tif", "made/planes.tif", "made/bilevel.tif",
        "made/turned-6.tif", "made/animated.gif", "made/transparent.gif", "made/rle8.bmp",
        "made/4.bmp", "made/565.bmp", "made/turned-5.jpg"}) {
    const std::string whole = bytes_of(data_folder() / name);
    int errors = 0;
    for (int i = 0; i < 150; ++i) {
      std::string bytes = whole;
      for (int edit = 0; edit < 3; ++edit) {
        const size_t at = random() % bytes.size();
        if (random() % 3 == 0) {
          bytes[at] = static_cast<char>(random());
        } else {
          bytes[at % std::min<size_t>(bytes.size(), 100)] = static_cast<char>(random());
        }
      }
      const auto picture = decode_picture(bytes, "fuzz");
      if (!picture.ok()) {
        ++errors;
        continue;
      }
      EXPECT_EQ(picture->samples.size(), static_cast<size_t>(picture->h) *
                                             static_cast<size_t>(picture->w) *
                                             static_cast<size_t>(picture->c));
    }
    EXPECT_GT(errors, 10) << name;
  }
}

}  // namespace
}  // namespace ito
