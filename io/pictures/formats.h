// What the decoders of io/pictures share, and their entries. Not for other folders.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "io/pictures/picture.h"

namespace ito {

inline constexpr int64_t kMaxPixels = int64_t{1} << 28;

// Refuses a size before anything of it is allocated: a picture of more samples than 24 MiB hold, at
// two bytes each, and than a thousand times its file. `per_byte` is how many pixels a byte of the
// format can stand for at most; 0: no bound.
Status check_picture_size(int64_t w, int64_t h, int64_t c, size_t file_bytes, int64_t per_byte,
                          std::string_view where);
// Room for what a decoder writes in an order of its own. What is not written takes no memory, so
// that a file pays for what it holds and not for what it claims; it must not be read either.
template <typename T>
std::unique_ptr<T[]> unwritten(size_t n) {
  return std::make_unique_for_overwrite<T[]>(n);
}
// Deflate shrinks at most 1032 times, and eight pixels of one bit share a byte.
inline constexpr int64_t kPixelsPerDeflatedByte = 1032 * 8;

// 1 to 8 of EXIF's tag 274; 1 where the block has none or is damaged.
int exif_orientation(std::string_view tiff_block);
Picture oriented(Picture picture, int orientation);

// Pillow's (and everybody's) RGB of inks; samples of 8 bits, 255 is full ink.
void cmyk_to_rgb(const uint8_t* cmyk, uint16_t* rgb);
// a*b/255, rounded to nearest.
inline int times_255th(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

Result<Picture> decode_png(std::string_view bytes, std::string_view where);
Result<Picture> decode_jpeg(std::string_view bytes, std::string_view where);
Result<Picture> decode_webp(std::string_view bytes, std::string_view where);
Result<Picture> decode_tiff(std::string_view bytes, std::string_view where);
Result<Picture> decode_gif(std::string_view bytes, std::string_view where);
Result<Picture> decode_bmp(std::string_view bytes, std::string_view where);

}  // namespace ito
