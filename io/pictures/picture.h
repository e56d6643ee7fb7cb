// Picture: what a picture file holds, decoded by libraries made for untrusted files, and what has
// to happen before a network may see it: orientation applied, transparency put on a background. Not
// for writing (io/png.h), not for resizing (io/image.h) nor for collections (io/dataset.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/registry.h"
#include "base/result.h"
#include "io/file.h"

namespace ito {

// Row-major, channels last: sample k of pixel (y, x) is samples[(y * w + x) * c + k].
struct Picture {
  int h = 0, w = 0;
  int c = 0;                      // 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
  int bits = 8;                   // of a sample: 8 or 16
  std::vector<uint16_t> samples;  // 0 to 2^bits - 1; colours are not multiplied by alpha
  bool first_of_several = false;  // the file has further pages or frames, which are not read

  int largest() const { return (1 << bits) - 1; }
  bool has_alpha() const { return c == 2 || c == 4; }
  // Whether it has alpha and some pixel is not opaque.
  bool is_transparent() const;
  bool operator==(const Picture&) const = default;
};

// A sample as a byte, rounded, and as a network sees it: in [-1, 1].
inline uint8_t byte_of_sample(uint16_t sample, int bits) {
  return static_cast<uint8_t>(bits == 8 ? sample : (sample + 128) / 257);
}
inline float number_of_sample(uint16_t sample, int bits) {
  return static_cast<float>(sample) / (static_cast<float>((1 << bits) - 1) / 2) - 1.0f;
}
inline float number_of_byte(uint8_t byte) { return number_of_sample(byte, 8); }

// One kind of file. Its name is what people call it, its aliases are the endings of files.
struct PictureFormat {
  Name name;
  bool (*recognises)(std::string_view bytes);  // by how the file begins
  Result<Picture> (*decode)(std::string_view bytes, std::string_view where);
};
// PNG, JPEG, WebP, TIFF, GIF and BMP.
std::span<const PictureFormat> picture_formats();
// The format whose bytes these are, or null. The first 64 bytes are enough.
const PictureFormat* picture_format(std::string_view bytes);
// The format of files with that ending ("jpg", ".JPG"), or null.
const PictureFormat* picture_format_of_ending(std::string_view ending);

// The first picture of a file, turned as its EXIF orientation says. Pictures of 1, 2 and 4 bits are
// spread to 8; palettes are resolved (to grey where the palette has no colour); CMYK becomes RGB by
// (255 - c)(255 - k) / 255 as in Pillow. Errors naming `where`: kCorrupt for damage (a checksum
// that does not match, a palette index without an entry, missing data) and for sizes beyond 2^28
// pixels or beyond what so few bytes can hold; kUnsupported for what the formats know and this does
// not.
Result<Picture> decode_picture(std::string_view bytes, std::string_view where);
Result<Picture> read_picture(const Path& path);

// What shines through where a picture is transparent.
struct Background {
  std::array<uint8_t, 3> rgb = {255, 255, 255};
  bool operator==(const Background&) const = default;
  bool is_grey() const { return rgb[0] == rgb[1] && rgb[1] == rgb[2]; }
};
// "white", "black", "grey", a level 0 to 255, or "#rrggbb". Error kInvalidArgument naming `option`.
Result<Background> parse_background(std::string_view text, std::string_view option);

// Without alpha: c 1 or 3. A grey picture becomes RGB where a coloured background shines through.
Picture flattened(const Picture& picture, const Background& background = {});
// The same picture with `channels` 1 or 3: grey repeated, or the luma of ITU-R 601 as in Pillow.
Picture with_channels(const Picture& picture, int channels);

}  // namespace ito
