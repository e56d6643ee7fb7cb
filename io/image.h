// Image: 8-bit pixels in memory; reading it from a picture file, crop and resize.
// Not for decoding (io/pictures/picture.h), writing files (io/png.h) nor collections
// (io/dataset.h).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/pictures/picture.h"

namespace ito {

// Row-major, channels last: pixel (y, x) channel k is pixels[(y * w + x) * c + k].
struct Image {
  int h = 0, w = 0, c = 0;
  std::vector<uint8_t> pixels;

  bool operator==(const Image&) const = default;
};

// A picture file at 8 bits on `background`. channels: 1 grey, 3 RGB, 4 RGBA (then nothing is put on
// a background), or 0 for grey pictures as 1 and all others as 3. 16 bits are rounded to 8. Errors
// as of decode_picture.
Result<Image> decode_image(std::string_view bytes, std::string_view where, int channels = 0,
                           const Background& background = {});
Result<Image> read_image(const Path& path, int channels = 0, const Background& background = {});
// The same of a decoded picture.
Image image_of(const Picture& picture, int channels = 0, const Background& background = {});

// Resizes to h x w with a triangle filter, widened when shrinking so that every source pixel counts
// (antialiased bilinear). Rounds to nearest.
Image resize(const Image& image, int h, int w);
Picture resize(const Picture& picture, int h, int w);
// The part of h x w whose first row is `top` and first column `left`.
Picture crop(const Picture& picture, int top, int left, int h, int w);

}  // namespace ito
