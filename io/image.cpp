#include "io/image.h"

#include <stb_image.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

// An image file is at most this large; stb_image counts bytes in an int.
constexpr uint64_t kMaxImageBytes = uint64_t{1} << 30;
constexpr int64_t kMaxPixels = int64_t{1} << 28;
// Deflate shrinks at most 1032 times, and eight pixels of one bit share a byte.
constexpr int64_t kMaxPixelsPerByte = 1032 * 8;

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

}  // namespace

Result<Image> decode_image(std::string_view bytes, std::string_view where, int channels) {
  if (bytes.size() > kMaxImageBytes)
    return corrupt("{}: image file of {} bytes; at most {} expected", where, bytes.size(),
                   kMaxImageBytes);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  int size = static_cast<int>(bytes.size()), w = 0, h = 0, stored = 0;
  // Look at the header first: a tiny file may claim a size that would take gigabytes.
  if (stbi_info_from_memory(data, size, &w, &h, &stored) == 0)
    return corrupt("{}: not a readable PNG or JPEG image ({})", where, stbi_failure_reason());
  if (static_cast<int64_t>(w) * h > kMaxPixels)
    return corrupt("{}: image of {}x{} pixels; at most {} in all expected", where, w, h,
                   kMaxPixels);
  if (static_cast<int64_t>(w) * h > kMaxPixelsPerByte * (size + int64_t{1}))
    return corrupt("{}: the header says {}x{} pixels, which its {} bytes cannot hold", where, w, h,
                   size);
  int wanted = channels != 0 ? channels : (stored <= 2 ? 1 : 3);
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &w, &h, &stored, wanted), stbi_image_free);
  if (!pixels) return corrupt("{}: damaged image ({})", where, stbi_failure_reason());
  auto count = static_cast<size_t>(w) * static_cast<size_t>(h) * static_cast<size_t>(wanted);
  return Image{h, w, wanted, std::vector<uint8_t>(pixels.get(), pixels.get() + count)};
}

Result<Image> read_image(const Path& path, int channels) {
  ITO_ASSIGN(std::string bytes, read_file(path, kMaxImageBytes));
  return decode_image(bytes, path.string(), channels);
}

Image centre_crop_square(const Image& image) {
  int side = std::min(image.h, image.w);
  int top = (image.h - side) / 2, left = (image.w - side) / 2;
  Image out{side, side, image.c, {}};
  for (int y = 0; y < side; ++y) {
    auto begin =
        image.pixels.begin() + (static_cast<ptrdiff_t>(top + y) * image.w + left) * image.c;
    out.pixels.insert(out.pixels.end(), begin, begin + static_cast<ptrdiff_t>(side) * image.c);
  }
  return out;
}

Image resize(const Image& image, int h, int w) {
  CHECK(h > 0 && w > 0 && image.h > 0 && image.w > 0, "resize needs positive sizes");
  std::vector<Taps> rows = triangle_taps(image.h, h), columns = triangle_taps(image.w, w);
  auto c = static_cast<size_t>(image.c);
  auto at = [&](size_t width, size_t y, size_t x, size_t k) { return (y * width + x) * c + k; };
  auto source_w = static_cast<size_t>(image.w), target_w = static_cast<size_t>(w);

  std::vector<double> wide(static_cast<size_t>(image.h) * target_w * c);
  for (size_t y = 0; y < static_cast<size_t>(image.h); ++y)
    for (size_t x = 0; x < target_w; ++x)
      for (size_t k = 0; k < c; ++k) {
        double sum = 0;
        const Taps& taps = columns[x];
        for (size_t i = 0; i < taps.weights.size(); ++i)
          sum += taps.weights[i] *
                 image.pixels[at(source_w, y, static_cast<size_t>(taps.first) + i, k)];
        wide[at(target_w, y, x, k)] = sum;
      }

  Image out{h, w, image.c, std::vector<uint8_t>(static_cast<size_t>(h) * target_w * c)};
  for (size_t y = 0; y < static_cast<size_t>(h); ++y)
    for (size_t x = 0; x < target_w; ++x)
      for (size_t k = 0; k < c; ++k) {
        double sum = 0;
        const Taps& taps = rows[y];
        for (size_t i = 0; i < taps.weights.size(); ++i)
          sum += taps.weights[i] * wide[at(target_w, static_cast<size_t>(taps.first) + i, x, k)];
        out.pixels[at(target_w, y, x, k)] =
            static_cast<uint8_t>(std::clamp(std::round(sum), 0.0, 255.0));
      }
  return out;
}

}  // namespace ito
