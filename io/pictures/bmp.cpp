// Windows' bitmaps, read here: a header of fixed numbers, then rows or runs. Layouts follow the
// documentation of BITMAPFILEHEADER, BITMAPINFOHEADER and BITMAPV5HEADER, and of OS/2's older one.
#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/error.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

constexpr size_t kFileHeader = 14, kCoreHeader = 12, kInfoHeader = 40;
// A run of 255 pixels is two bytes.
constexpr int64_t kBmpPixelsPerByte = 128;
enum BmpCompression : uint32_t { kRgb = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaFields = 6 };

struct Bmp {
  std::string_view bytes, where;
  int64_t w = 0, h = 0;
  bool top_down = false;
  uint32_t bits = 0, compression = kRgb;
  size_t pixels = 0, palette = 0, colours = 0, entry = 4;
  std::array<uint32_t, 4> masks = {};  // red, green, blue, alpha

  uint32_t number(size_t at, size_t size) const {
    uint32_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | byte(at + i);
    return value;
  }
  uint32_t byte(size_t at) const {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0u;
  }
  Error damaged(std::string_view what) const {
    return corrupt("{}: damaged image ({})", where, what);
  }
};

Result<Bmp> read_header(std::string_view bytes, std::string_view where) {
  Bmp bmp{.bytes = bytes, .where = where};
  const size_t size = bmp.number(kFileHeader, 4);
  bmp.pixels = bmp.number(10, 4);
  if (size != kCoreHeader && (size < 16 || size > 124)) return bmp.damaged("unknown header");
  if (bytes.size() < kFileHeader + size) return bmp.damaged("the header is truncated");
  if (size == kCoreHeader) {
    bmp.w = bmp.number(18, 2);
    bmp.h = bmp.number(20, 2);
    bmp.bits = bmp.number(24, 2);
    bmp.entry = 3;
  } else {
    bmp.w = static_cast<int32_t>(bmp.number(18, 4));
    bmp.h = static_cast<int32_t>(bmp.number(22, 4));
    bmp.bits = bmp.number(28, 2);
    bmp.compression = size >= 20 ? bmp.number(30, 4) : kRgb;
    bmp.colours = size >= kInfoHeader ? bmp.number(46, 4) : 0;
    bmp.top_down = bmp.h < 0;
    bmp.h = std::abs(bmp.h);
  }
  bmp.palette = kFileHeader + size;
  const bool fields = bmp.compression == kBitFields || bmp.compression == kAlphaFields;
  if (fields) {
    // After the header, or inside of the later, longer ones, at the same place.
    const size_t count = size >= 56 || bmp.compression == kAlphaFields ? 4 : 3;
    for (size_t i = 0; i < count; ++i)
      bmp.masks[i] = bmp.number(kFileHeader + kInfoHeader + 4 * i, 4);
    if (size < 52) bmp.palette += 4 * count;
  } else if (bmp.bits == 16) {
    bmp.masks = {0x7c00, 0x03e0, 0x001f, 0};
  } else if (bmp.bits == 32) {
    bmp.masks = {0xff0000, 0x00ff00, 0x0000ff, 0};
  }
  return bmp;
}

Status check(const Bmp& bmp) {
  const auto& b = bmp;
  const bool indexed = b.bits == 1 || b.bits == 4 || b.bits == 8;
  const bool fields = b.compression == kBitFields || b.compression == kAlphaFields;
  const bool known =
      (b.compression == kRgb && (indexed || b.bits == 16 || b.bits == 24 || b.bits == 32)) ||
      (b.compression == kRle8 && b.bits == 8) || (b.compression == kRle4 && b.bits == 4) ||
      (fields && (b.bits == 16 || b.bits == 32));
  if (!known)
    return unsupported("{}: BMP of {} bits and compression {} is not supported", b.where, b.bits,
                       b.compression);
  const bool runs = b.compression == kRle8 || b.compression == kRle4;
  if (runs && b.top_down) return b.damaged("runs from the top down");
  ITO_TRY(check_picture_size(b.w, b.h, 4, b.bytes.size(), kBmpPixelsPerByte, b.where));
  if (b.pixels < kFileHeader + kCoreHeader || b.pixels >= b.bytes.size())
    return b.damaged("the pixels lie outside the file");
  const int64_t stride = (b.w * b.bits + 31) / 32 * 4;
  // The padding of the last row may be missing.
  const int64_t needed = stride * (b.h - 1) + (b.w * b.bits + 7) / 8;
  if (!runs && needed > static_cast<int64_t>(b.bytes.size() - b.pixels))
    return b.damaged("the file is truncated");
  for (const uint32_t mask : b.masks)
    if (mask != 0 && std::popcount(mask) != 32 - std::countl_zero(mask) - std::countr_zero(mask))
      return b.damaged("a colour's bits are not together");
  return {};
}

// Palette indices, bottom row first, of a picture in runs. What no run reaches is index 0.
Result<std::vector<uint8_t>> read_runs(const Bmp& bmp) {
  const size_t w = static_cast<size_t>(bmp.w), h = static_cast<size_t>(bmp.h);
  const bool nibbles = bmp.compression == kRle4;
  // Zeros that nobody has touched take no memory: the file pays for its runs.
  const std::unique_ptr<uint8_t, void (*)(void*)> out(static_cast<uint8_t*>(std::calloc(w * h, 1)),
                                                      std::free);
  if (!out) return out_of_memory("{}: {}x{} pixels", bmp.where, w, h);
  size_t at = bmp.pixels, x = 0, y = 0;
  const auto put = [&](uint32_t index) {
    if (x >= w || y >= h) return false;
    out.get()[y * w + x++] = static_cast<uint8_t>(index);
    return true;
  };
  while (at + 2 <= bmp.bytes.size()) {
    const uint32_t first = bmp.byte(at), second = bmp.byte(at + 1);
    at += 2;
    if (first > 0) {
      for (uint32_t i = 0; i < first; ++i)
        if (!put(!nibbles ? second : i % 2 == 0 ? second >> 4 : second & 15))
          return bmp.damaged("a run beyond the picture");
    } else if (second == 0) {
      x = 0;
      ++y;
    } else if (second == 1) {
      return std::vector<uint8_t>(out.get(), out.get() + w * h);
    } else if (second == 2) {
      x += bmp.byte(at);
      y += bmp.byte(at + 1);
      at += 2;
    } else {
      const size_t size = nibbles ? (second + 1) / 2 : second;
      if (size > bmp.bytes.size() - at) return bmp.damaged("the file is truncated");
      for (uint32_t i = 0; i < second; ++i) {
        const uint32_t value = bmp.byte(at + (nibbles ? i / 2 : i));
        if (!put(!nibbles ? value : i % 2 == 0 ? value >> 4 : value & 15))
          return bmp.damaged("a run beyond the picture");
      }
      at += (size + 1) / 2 * 2;
    }
  }
  return bmp.damaged("the file is truncated");
}

std::vector<uint8_t> read_indices(const Bmp& bmp) {
  const size_t w = static_cast<size_t>(bmp.w), h = static_cast<size_t>(bmp.h), bits = bmp.bits;
  const size_t stride = (w * bits + 31) / 32 * 4;
  std::vector<uint8_t> out(w * h);
  for (size_t y = 0; y < h; ++y)
    for (size_t x = 0; x < w; ++x) {
      const uint32_t byte = bmp.byte(bmp.pixels + y * stride + x * bits / 8);
      const size_t shift = 8 - bits - x * bits % 8;
      out[y * w + x] = static_cast<uint8_t>(byte >> shift & ((1u << bits) - 1));
    }
  return out;
}

// `rows` are stored bottom row first unless the file says otherwise.
size_t stored_row(const Bmp& bmp, size_t y) {
  return bmp.top_down ? y : static_cast<size_t>(bmp.h) - 1 - y;
}

Result<Picture> resolve_palette(const Bmp& bmp, const std::vector<uint8_t>& indices) {
  const size_t w = static_cast<size_t>(bmp.w), h = static_cast<size_t>(bmp.h);
  const size_t most = size_t{1} << bmp.bits;
  const size_t room = bmp.pixels > bmp.palette ? (bmp.pixels - bmp.palette) / bmp.entry : 0;
  const size_t colours = std::min({bmp.colours == 0 ? most : bmp.colours, most, room});
  bool grey = true;
  for (size_t i = 0; i < colours; ++i) {
    const size_t at = bmp.palette + i * bmp.entry;
    grey = grey && bmp.byte(at) == bmp.byte(at + 1) && bmp.byte(at) == bmp.byte(at + 2);
  }
  Picture out{static_cast<int>(h), static_cast<int>(w), grey ? 1 : 3, 8, {}};
  out.samples.reserve(w * h * static_cast<size_t>(out.c));
  for (size_t y = 0; y < h; ++y)
    for (size_t x = 0; x < w; ++x) {
      const size_t index = indices[stored_row(bmp, y) * w + x];
      if (index >= colours)
        return bmp.damaged(
            fmt::format("a pixel names entry {} of a palette of {}", index, colours));
      const size_t at = bmp.palette + index * bmp.entry;
      for (size_t k = 0; k < (grey ? 1u : 3u); ++k)
        out.samples.push_back(static_cast<uint16_t>(bmp.byte(at + 2 - k)));
    }
  return out;
}

// A field of bits spread to 0 … 255, rounded down.
uint16_t field(uint32_t value, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  return static_cast<uint16_t>(uint64_t{(value & mask) >> shift} * 255 / (mask >> shift));
}

Picture read_colours(const Bmp& bmp) {
  const size_t w = static_cast<size_t>(bmp.w), h = static_cast<size_t>(bmp.h);
  const size_t size = bmp.bits / 8, stride = (w * bmp.bits + 31) / 32 * 4;
  const bool alpha = bmp.masks[3] != 0;
  Picture out{static_cast<int>(h), static_cast<int>(w), alpha ? 4 : 3, 8, {}};
  out.samples.reserve(w * h * static_cast<size_t>(out.c));
  for (size_t y = 0; y < h; ++y)
    for (size_t x = 0; x < w; ++x) {
      const size_t at = bmp.pixels + stored_row(bmp, y) * stride + x * size;
      if (bmp.bits == 24) {
        for (size_t k = 0; k < 3; ++k)
          out.samples.push_back(static_cast<uint16_t>(bmp.byte(at + 2 - k)));
        continue;
      }
      const uint32_t value = bmp.number(at, size);
      for (size_t k = 0; k < (alpha ? 4u : 3u); ++k)
        out.samples.push_back(field(value, bmp.masks[k]));
    }
  return out;
}

}  // namespace

Result<Picture> decode_bmp(std::string_view bytes, std::string_view where) {
  ITO_ASSIGN(const Bmp bmp, read_header(bytes, where));
  ITO_TRY(check(bmp));
  if (bmp.bits > 8) return read_colours(bmp);
  if (bmp.compression == kRgb) return resolve_palette(bmp, read_indices(bmp));
  ITO_ASSIGN(const std::vector<uint8_t> indices, read_runs(bmp));
  return resolve_palette(bmp, indices);
}

}  // namespace ito
