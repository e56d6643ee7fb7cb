#include "io/datasets/image_distance.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ito {
namespace {

constexpr int64_t kWalks = 16;
constexpr int64_t kMostDrawn = 10'000;

int64_t squared_distance(const uint8_t* a, const uint8_t* b, size_t size) {
  constexpr size_t kBlock = 1024;  // 1024 · 255² fits 32 bits
  int64_t total = 0;
  for (size_t first = 0; first < size; first += kBlock) {
    uint32_t sum = 0;
    for (size_t i = first; i < std::min(size, first + kBlock); ++i) {
      const int difference = int{a[i]} - int{b[i]};
      sum += static_cast<uint32_t>(difference * difference);
    }
    total += sum;
  }
  return total;
}

// Some of the images, as bytes in memory.
Result<ImageDataset> drawn(const ImageDataset& data) {
  ImageDataset out;
  out.count = std::min(data.count, kMostDrawn);
  out.h = data.h;
  out.w = data.w;
  out.c = data.c;
  std::vector<float> values(data.image_size());
  for (int64_t i = 0; i < out.count; ++i) {
    ITO_TRY(normalised_images(data, {i * data.count / out.count}, data.h, data.w, values.data()));
    for (const float v : values)
      out.pixels.push_back(static_cast<uint8_t>(std::lround((v + 1) * 127.5f)));
  }
  return out;
}

double largest_of(const ImageDataset& data) {
  const size_t size = data.image_size();
  const auto image = [&](int64_t i) { return data.bytes_of(i).data(); };
  int64_t largest = 0;
  for (int64_t walk = 0; walk < std::min(kWalks, data.count); ++walk) {
    int64_t from = walk * data.count / kWalks;
    for (int64_t reached = -1;;) {
      int64_t farthest = 0, distance = 0;
      for (int64_t i = 0; i < data.count; ++i) {
        const int64_t d = squared_distance(image(from), image(i), size);
        if (d <= distance) continue;
        distance = d;
        farthest = i;
      }
      if (distance <= reached) break;
      reached = distance;
      from = farthest;
      largest = std::max(largest, reached);
    }
  }
  return std::sqrt(static_cast<double>(largest)) * 2 / 255;
}

}  // namespace

Result<double> largest_image_distance(const ImageDataset& data) {
  if (!data.files && data.whole.empty()) return largest_of(data);
  ITO_ASSIGN(const ImageDataset some, drawn(data));
  return largest_of(some);
}

}  // namespace ito
