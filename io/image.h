// Image: 8-bit pixels in memory; decoding of PNG and JPEG, centre crop and resize.
// Not for writing files (io/png.h) nor for collections (io/dataset.h).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"

namespace ito {

// Row-major, channels last: pixel (y, x) channel k is pixels[(y * w + x) * c + k].
struct Image {
  int h = 0, w = 0, c = 0;
  std::vector<uint8_t> pixels;

  bool operator==(const Image&) const = default;
};

// Decodes PNG or JPEG (and the other formats of stb_image). channels: 1 grey, 3 RGB, 4 RGBA, or 0
// for grey images as 1 and all others as 3 (transparency is dropped, not blended). 16-bit images
// are reduced to 8. Errors: kCorrupt naming `where` and the decoder's reason.
Result<Image> decode_image(std::string_view bytes, std::string_view where, int channels = 0);
Result<Image> read_image(const Path& path, int channels = 0);

// The largest centred square.
Image centre_crop_square(const Image& image);

// Resizes to h x w with a triangle filter, widened when shrinking so that every source pixel counts
// (antialiased bilinear). Rounds to nearest.
Image resize(const Image& image, int h, int w);

}  // namespace ito
