// How images of a data set become what a network sees, wherever they are kept: in memory, mapped,
// or in their files.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "io/datasets/readers.h"

namespace ito {
namespace {

// An image before it is cut, [h,w,c]: bytes or, of deep ones, numbers.
struct KeptImage {
  int h = 0, w = 0;
  const uint8_t* bytes = nullptr;
  const float* floats = nullptr;
  std::vector<float> decoded = {};  // of a file's, in place of both

  const float* numbers() const { return decoded.empty() ? floats : decoded.data(); }
};

Result<KeptImage> kept_image(const ImageDataset& data, int64_t i) {
  CHECK(i >= 0 && i < data.count, "image index out of range");
  KeptImage image{.h = data.h, .w = data.w};
  const size_t at = static_cast<size_t>(i);
  if (data.files) {
    ITO_ASSIGN(const Picture picture, data.files->decode(data.rows.empty() ? i : data.rows[at]));
    image.h = picture.h;
    image.w = picture.w;
    image.decoded.reserve(picture.samples.size());
    for (const uint16_t v : picture.samples)
      image.decoded.push_back(number_of_sample(v, picture.bits));
    return image;
  }
  if (data.whole.empty()) {
    image.bytes = data.bytes_of(i).data();
    const std::span<const float> deep = data.floats_of(i);
    image.floats = deep.empty() ? nullptr : deep.data();
    return image;
  }
  const WholeImage& whole = data.whole[at];
  const size_t first = static_cast<size_t>(whole.begin) * static_cast<size_t>(data.c);
  image.h = whole.h;
  image.w = whole.w;
  image.bytes = (data.store ? data.store->bytes.bytes.data() : data.pixels.data()) + first;
  if (!data.store && !data.floats.empty()) image.floats = data.floats.data() + first;
  if (data.store && !data.store->floats.bytes.empty())
    image.floats = reinterpret_cast<const float*>(data.store->floats.bytes.data()) + first;
  return image;
}

// 0 to room.
size_t cut_at(int room, std::span<const CutPlace> cuts, size_t n, size_t axis) {
  if (cuts.empty()) return static_cast<size_t>(room / 2);
  return static_cast<size_t>((uint64_t{cuts[n][axis]} * (static_cast<uint64_t>(room) + 1)) >> 32);
}

}  // namespace

Status normalised_images(const ImageDataset& data, const std::vector<int64_t>& indices,
                         int padded_h, int padded_w, float* out, std::span<const CutPlace> cuts) {
  CHECK(padded_h >= data.h && padded_w >= data.w, "padding cannot shrink images");
  CHECK(cuts.empty() || cuts.size() == indices.size(), "a place for each image");
  const auto c = static_cast<size_t>(data.c);
  const auto row = static_cast<size_t>(data.w) * c;
  const auto padded_row = static_cast<size_t>(padded_w) * c;
  const auto top = static_cast<size_t>((padded_h - data.h) / 2);
  const auto left = static_cast<size_t>((padded_w - data.w) / 2) * c;
  const size_t padded_image = static_cast<size_t>(padded_h) * padded_row;
  std::fill_n(out, indices.size() * padded_image, -1.0f);
  for (size_t n = 0; n < indices.size(); ++n) {
    ITO_ASSIGN(const KeptImage image, kept_image(data, indices[n]));
    const size_t down = cut_at(image.h - data.h, cuts, n, 0);
    const size_t across = cut_at(image.w - data.w, cuts, n, 1);
    for (size_t y = 0; y < static_cast<size_t>(data.h); ++y) {
      const size_t from = ((down + y) * static_cast<size_t>(image.w) + across) * c;
      float* to = out + n * padded_image + (top + y) * padded_row + left;
      if (image.numbers() != nullptr) {
        std::copy_n(image.numbers() + from, row, to);
      } else {
        std::transform(image.bytes + from, image.bytes + from + row, to,
                       [](uint8_t v) { return number_of_byte(v); });
      }
    }
  }
  return {};
}

Result<ImageDataset> cut_in_the_middle(const ImageDataset& data) {
  if (!data.files && data.whole.empty()) return data;
  ImageDataset out{.count = data.count,
                   .h = data.h,
                   .w = data.w,
                   .c = data.c,
                   .pixels = {},
                   .labels = data.labels,
                   .names = data.names};
  out.facts = data.facts;
  const auto row = static_cast<ptrdiff_t>(data.w) * data.c;
  for (int64_t i = 0; i < data.count; ++i) {
    ITO_ASSIGN(const KeptImage image, kept_image(data, i));
    const ptrdiff_t top = (image.h - data.h) / 2, left = (image.w - data.w) / 2;
    for (ptrdiff_t y = 0; y < data.h; ++y) {
      const ptrdiff_t from = ((top + y) * image.w + left) * data.c;
      if (const float* numbers = image.numbers(); numbers != nullptr)
        out.floats.insert(out.floats.end(), numbers + from, numbers + from + row);
      if (image.bytes != nullptr) {
        out.pixels.insert(out.pixels.end(), image.bytes + from, image.bytes + from + row);
      } else {
        for (ptrdiff_t k = from; k < from + row; ++k)
          out.pixels.push_back(static_cast<uint8_t>(
              std::lround((image.decoded[static_cast<size_t>(k)] + 1) * 127.5f)));
      }
    }
  }
  return out;
}

}  // namespace ito
