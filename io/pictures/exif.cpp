// EXIF is a TIFF file of its own inside a picture: a byte order, then a list of tags (TIFF 6.0,
// section 2). Only the orientation is looked at.
#include <algorithm>
#include <utility>

#include "io/pictures/formats.h"

namespace ito {
namespace {

constexpr uint32_t kOrientation = 274, kShort = 3;

}  // namespace

int exif_orientation(std::string_view block) {
  if (block.starts_with(std::string_view("Exif\0\0", 6))) block.remove_prefix(6);
  const bool little = block.starts_with(std::string_view("II*\0", 4));
  if (!little && !block.starts_with(std::string_view("MM\0*", 4))) return 1;
  const auto number = [&](uint64_t at, uint32_t size) -> uint32_t {
    uint32_t value = 0;
    for (uint32_t i = 0; i < size; ++i) {
      const uint64_t place = at + (little ? size - 1 - i : i);
      if (place >= block.size()) return 0;
      value = value << 8 | static_cast<unsigned char>(block[place]);
    }
    return value;
  };
  const uint64_t list = number(4, 4);
  const uint32_t count = number(list, 2);
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t entry = list + 2 + uint64_t{12} * i;
    if (entry + 12 > block.size()) return 1;
    if (number(entry, 2) != kOrientation) continue;
    const uint32_t value = number(entry + 2, 2) == kShort ? number(entry + 8, 2) : 0;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Picture oriented(Picture picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  // Where row 0 and column 0 of what is stored lie (TIFF 6.0, "Orientation").
  const bool swap = orientation >= 5;
  const bool flip_rows =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool flip_columns =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  Picture out{
      swap ? picture.w : picture.h, swap ? picture.h : picture.w, picture.c, picture.bits, {},
      picture.first_of_several};
  out.samples.reserve(picture.samples.size());
  for (int y = 0; y < out.h; ++y) {
    for (int x = 0; x < out.w; ++x) {
      const int row = flip_rows ? out.h - 1 - y : y, column = flip_columns ? out.w - 1 - x : x;
      const int64_t source_y = swap ? column : row, source_x = swap ? row : column;
      const auto begin = picture.samples.begin() + (source_y * picture.w + source_x) * picture.c;
      out.samples.insert(out.samples.end(), begin, begin + picture.c);
    }
  }
  return out;
}

}  // namespace ito
