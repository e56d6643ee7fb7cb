#include "io/image.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace ito {
namespace {

// For each output position: the first source index and the normalised weights from there on.
struct Taps {
  int first;
  std::vector<double> weights;
};

std::vector<Taps> triangle_taps(int from, int to) {
  double scale = static_cast<double>(from) / to;
  double radius = std::max(scale, 1.0);
  std::vector<Taps> taps;
  for (int i = 0; i < to; ++i) {
    double centre = (i + 0.5) * scale - 0.5;
    int first = std::max(0, static_cast<int>(std::ceil(centre - radius)));
    int last = std::min(from - 1, static_cast<int>(std::floor(centre + radius)));
    Taps tap{first, {}};
    double sum = 0;
    for (int k = first; k <= last; ++k) {
      tap.weights.push_back(std::max(0.0, 1 - std::abs(k - centre) / radius));
      sum += tap.weights.back();
    }
    for (double& weight : tap.weights) weight /= sum;
    taps.push_back(std::move(tap));
  }
  return taps;
}

// Rows then columns; `most` is the largest value that a sample can have.
template <typename T>
std::vector<T> resized(const std::vector<T>& pixels, int from_h, int from_w, int channels, int h,
                       int w, double most) {
  CHECK(h > 0 && w > 0 && from_h > 0 && from_w > 0, "resize needs positive sizes");
  std::vector<Taps> rows = triangle_taps(from_h, h), columns = triangle_taps(from_w, w);
  auto c = static_cast<size_t>(channels);
  auto at = [&](size_t width, size_t y, size_t x, size_t k) { return (y * width + x) * c + k; };
  auto source_w = static_cast<size_t>(from_w), target_w = static_cast<size_t>(w);

  std::vector<double> wide(static_cast<size_t>(from_h) * target_w * c);
  for (size_t y = 0; y < static_cast<size_t>(from_h); ++y)
    for (size_t x = 0; x < target_w; ++x)
      for (size_t k = 0; k < c; ++k) {
        double sum = 0;
        const Taps& taps = columns[x];
        for (size_t i = 0; i < taps.weights.size(); ++i)
          sum += taps.weights[i] * pixels[at(source_w, y, static_cast<size_t>(taps.first) + i, k)];
        wide[at(target_w, y, x, k)] = sum;
      }

  std::vector<T> out(static_cast<size_t>(h) * target_w * c);
  for (size_t y = 0; y < static_cast<size_t>(h); ++y)
    for (size_t x = 0; x < target_w; ++x)
      for (size_t k = 0; k < c; ++k) {
        double sum = 0;
        const Taps& taps = rows[y];
        for (size_t i = 0; i < taps.weights.size(); ++i)
          sum += taps.weights[i] * wide[at(target_w, static_cast<size_t>(taps.first) + i, x, k)];
        out[at(target_w, y, x, k)] = static_cast<T>(std::clamp(std::round(sum), 0.0, most));
      }
  return out;
}

}  // namespace

Image image_of(const Picture& picture, int channels, const Background& background) {
  CHECK(channels == 0 || channels == 1 || channels == 3 || channels == 4, "1, 3 or 4 channels");
  Picture flat = channels == 4 ? picture : flattened(picture, background);
  if (channels == 1 || channels == 3) flat = with_channels(flat, channels);
  Image image{flat.h, flat.w, channels == 4 ? 4 : flat.c, {}};
  const auto byte = [&](uint16_t v) {
    return static_cast<uint8_t>(flat.bits == 8 ? v : (v + 128) / 257);
  };
  if (channels != 4) {
    image.pixels.resize(flat.samples.size());
    std::transform(flat.samples.begin(), flat.samples.end(), image.pixels.begin(), byte);
    return image;
  }
  const size_t c = static_cast<size_t>(flat.c);
  const bool colour = flat.c >= 3;
  for (size_t i = 0; i < flat.samples.size(); i += c) {
    for (size_t k = 0; k < 3; ++k) image.pixels.push_back(byte(flat.samples[i + (colour ? k : 0)]));
    image.pixels.push_back(flat.has_alpha() ? byte(flat.samples[i + c - 1]) : uint8_t{255});
  }
  return image;
}

Result<Image> decode_image(std::string_view bytes, std::string_view where, int channels,
                           const Background& background) {
  ITO_ASSIGN(const Picture picture, decode_picture(bytes, where));
  return image_of(picture, channels, background);
}

Result<Image> read_image(const Path& path, int channels, const Background& background) {
  ITO_ASSIGN(const Picture picture, read_picture(path));
  return image_of(picture, channels, background);
}

Image resize(const Image& image, int h, int w) {
  return {h, w, image.c, resized(image.pixels, image.h, image.w, image.c, h, w, 255)};
}

Picture resize(const Picture& picture, int h, int w) {
  return {h, w, picture.c, picture.bits,
          resized(picture.samples, picture.h, picture.w, picture.c, h, w, picture.largest())};
}

Picture crop(const Picture& picture, int top, int left, int h, int w) {
  CHECK(top >= 0 && left >= 0 && top + h <= picture.h && left + w <= picture.w, "crop outside");
  Picture out{h, w, picture.c, picture.bits, {}};
  for (int y = top; y < top + h; ++y) {
    auto begin =
        picture.samples.begin() + (static_cast<ptrdiff_t>(y) * picture.w + left) * picture.c;
    out.samples.insert(out.samples.end(), begin, begin + static_cast<ptrdiff_t>(w) * picture.c);
  }
  return out;
}

}  // namespace ito
