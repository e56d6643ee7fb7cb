// Chunk layouts follow the PNG specification (W3C, third edition), 5.3 and 11.3.3.
#include "io/png.h"

#include <stb_image_write.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "base/integer.h"
#include "io/compress.h"

namespace ito {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr uint64_t kMaxText = 16u << 20;
constexpr size_t kChunkFrame = 12;  // length, type, checksum

void append_u32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xff);
}

uint32_t load_u32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::string text_chunk(std::string_view key, std::string_view text) {
  std::string body = "tEXt";
  body += key;
  body += '\0';
  body += text;
  std::string chunk;
  append_u32(chunk, static_cast<uint32_t>(body.size() - 4));
  chunk += body;
  append_u32(chunk, crc32_of(body));
  return chunk;
}

// Latin-1 to UTF-8.
std::string from_latin1(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (u < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | u >> 6);
      out += static_cast<char>(0x80 | (u & 0x3f));
    }
  }
  return out;
}

// Splits at the first zero byte; false if there is none.
bool split(std::string_view* rest, std::string_view* head) {
  size_t zero = rest->find('\0');
  if (zero == std::string_view::npos) return false;
  *head = rest->substr(0, zero);
  rest->remove_prefix(zero + 1);
  return true;
}

// The text of a text chunk if it has the key; nothing otherwise.
Result<std::optional<std::string>> chunk_text(std::string_view type, std::string_view data,
                                              std::string_view key, std::string_view where) {
  std::string_view found;
  if (!split(&data, &found)) return corrupt("{}: {} chunk without a key", where, type);
  if (found != key) return std::optional<std::string>();
  if (type == "tEXt") return std::optional<std::string>(from_latin1(data));
  // zTXt: method byte. iTXt: flag byte, method byte, language, translated key.
  bool compressed = true;
  size_t marks = type == "iTXt" ? 2 : 1;
  if (data.size() < marks) return corrupt("{}: truncated {} chunk", where, type);
  if (data[marks - 1] != 0) return corrupt("{}: {} chunk of unknown compression", where, type);
  if (type == "iTXt") compressed = data[0] != 0;
  data.remove_prefix(marks);
  std::string_view ignored;
  if (type == "iTXt" && (!split(&data, &ignored) || !split(&data, &ignored)))
    return corrupt("{}: truncated iTXt chunk", where);
  if (!compressed) return std::optional<std::string>(std::string(data));
  ITO_ASSIGN(std::string text, inflate(data, Compression::kZlib, where, kMaxText));
  return std::optional<std::string>(type == "zTXt" ? from_latin1(text) : std::move(text));
}

int columns_for(size_t count, int columns) {
  if (columns > 0) return columns;
  return std::max(1, static_cast<int>(std::ceil(std::sqrt(static_cast<double>(count)))));
}

}  // namespace

uint8_t to_byte(float x) {
  float unit = x / 2 + 0.5f;
  if (!(unit > 0)) return 0;  // also NaN
  return static_cast<uint8_t>(std::nearbyint(std::min(unit, 1.0f) * 255));
}

Image image_from_floats(const std::vector<float>& values, const Shape& nhwc, int64_t index) {
  CHECK(nhwc.rank() == 4 && static_cast<int64_t>(values.size()) == nhwc.numel(),
        "expected values of shape [N,H,W,C]");
  CHECK(index >= 0 && index < nhwc[0], "image index out of range");
  int64_t size = nhwc[1] * nhwc[2] * nhwc[3];
  Image image{static_cast<int>(nhwc[1]), static_cast<int>(nhwc[2]), static_cast<int>(nhwc[3]),
              std::vector<uint8_t>(static_cast<size_t>(size))};
  std::transform(values.begin() + index * size, values.begin() + (index + 1) * size,
                 image.pixels.begin(), to_byte);
  return image;
}

Image grid_from_floats(const std::vector<float>& values, const Shape& nhwc, int columns, int gap,
                       uint8_t background) {
  std::vector<Image> images;
  for (int64_t i = 0; i < nhwc[0]; ++i) images.push_back(image_from_floats(values, nhwc, i));
  return grid_of(images, columns, gap, background);
}

Image grid_of(const std::vector<Image>& images, int columns, int gap, uint8_t background) {
  CHECK(!images.empty() && gap >= 0, "a grid needs images");
  const Image& first = images[0];
  columns = columns_for(images.size(), columns);
  int rows = ceil_div(static_cast<int>(images.size()), columns);
  Image grid{rows * (first.h + gap) + gap, columns * (first.w + gap) + gap, first.c, {}};
  grid.pixels.assign(
      static_cast<size_t>(grid.h) * static_cast<size_t>(grid.w) * static_cast<size_t>(grid.c),
      background);
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    CHECK(image.h == first.h && image.w == first.w && image.c == first.c,
          "images of a grid have one size");
    int top = gap + static_cast<int>(i) / columns * (first.h + gap);
    int left = gap + static_cast<int>(i) % columns * (first.w + gap);
    ptrdiff_t row = static_cast<ptrdiff_t>(image.w) * image.c;
    for (int y = 0; y < image.h; ++y)
      std::copy_n(image.pixels.begin() + y * row, row,
                  grid.pixels.begin() + (static_cast<ptrdiff_t>(top + y) * grid.w + left) * grid.c);
  }
  return grid;
}

std::string encode_png(const Image& image, const Json* settings) {
  CHECK(image.c >= 1 && image.c <= 4 && image.h > 0 && image.w > 0, "not an image");
  std::string png;
  int written = stbi_write_png_to_func(
      [](void* context, void* data, int size) {
        static_cast<std::string*>(context)->append(static_cast<const char*>(data),
                                                   static_cast<size_t>(size));
      },
      &png, image.w, image.h, image.c, image.pixels.data(), image.w * image.c);
  CHECK(written != 0, "stb_image_write could not encode the image");
  if (settings != nullptr) {
    // Right after the image header: readers find it without passing the pixels.
    constexpr size_t kHeaderEnd = 8 + kChunkFrame + 13;
    std::string text = settings->dump(-1, ' ', true, Json::error_handler_t::replace);
    png.insert(kHeaderEnd, text_chunk(kSettingsKey, text));
  }
  return png;
}

Status write_png(const Path& path, const Image& image, const Json* settings) {
  return write_file_atomic(path, encode_png(image, settings));
}

Result<std::optional<std::string>> png_text(std::string_view png, std::string_view key,
                                            std::string_view where) {
  if (!png.starts_with(kSignature)) return corrupt("{}: not a PNG file", where);
  size_t at = kSignature.size();
  while (true) {
    if (png.size() - at < kChunkFrame) return corrupt("{}: PNG file is truncated", where);
    size_t length = load_u32(png, at);
    if (length > png.size() - at - kChunkFrame)
      return corrupt("{}: PNG chunk of {} bytes is truncated", where, length);
    std::string_view type = png.substr(at + 4, 4), data = png.substr(at + 8, length);
    if (type == "IEND") return std::optional<std::string>();
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") {
      if (crc32_of(png.substr(at + 4, 4 + length)) != load_u32(png, at + 8 + length))
        return corrupt("{}: checksum of a {} chunk does not match", where, type);
      ITO_ASSIGN(std::optional<std::string> text, chunk_text(type, data, key, where));
      if (text) return text;
    }
    at += kChunkFrame + length;
  }
}

Result<Json> png_settings(std::string_view png, const std::string& where) {
  ITO_ASSIGN(std::optional<std::string> text, png_text(png, kSettingsKey, where));
  if (!text) return not_found("{}: no generation settings in the image", where);
  Result<Json> settings = parse_json(*text, where);
  if (settings.ok()) return settings;
  return corrupt(
      "{}: the picture's text \"{}\" is another program's, not settings of ito sample: {}", where,
      kSettingsKey, text->substr(0, std::min<size_t>(60, text->find('\n'))));
}

Result<Json> read_png_settings(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  return png_settings(file.bytes(), path.string());
}

}  // namespace ito
