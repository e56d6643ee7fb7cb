#include "io/pictures/picture.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/check.h"
#include "base/error.h"
#include "io/file_kind.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
// What a few bytes may stand for: two bytes each, these leave room for a decoder's own copy and for
// turning the picture in 64 MiB. And how much more than its file a picture may be: scans of text
// come near it, what is made to burst lies beyond.
constexpr int64_t kFreeSampleBytes = int64_t{24} << 20, kSampleBytesPerByte = 1000;

constexpr std::array<PictureFormat, 6> kFormats = {{
    {{"PNG", "every form; animations as their first picture", "W3C PNG, third edition", "png apng"},
     [](std::string_view bytes) {
       return bytes.starts_with(std::string_view("\x89PNG\r\n\x1a\n", 8));
     },
     decode_png},
    {{"JPEG", "grey, colour and CMYK", "ITU-T T.81", "jpg jpeg jpe jfif"},
     [](std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); },
     decode_jpeg},
    {{"WebP", "with and without loss", "RFC 9649", "webp"},
     [](std::string_view bytes) {
       return bytes.starts_with("RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP";
     },
     decode_webp},
    {{"TIFF", "the first picture", "TIFF 6.0", "tif tiff"},
     [](std::string_view bytes) {
       return bytes.starts_with(std::string_view("II*\0", 4)) ||
              bytes.starts_with(std::string_view("MM\0*", 4)) ||
              bytes.starts_with(std::string_view("II+\0", 4)) ||
              bytes.starts_with(std::string_view("MM\0+", 4));
     },
     decode_tiff},
    {{"GIF", "the first frame", "GIF89a", "gif"},
     [](std::string_view bytes) {
       return bytes.starts_with("GIF87a") || bytes.starts_with("GIF89a");
     },
     decode_gif},
    {{"BMP", "1 to 32 bits, also packed", "Windows' device-independent bitmaps", "bmp dib"},
     [](std::string_view bytes) { return bytes.starts_with("BM") && bytes.size() >= 26; },
     decode_bmp},
}};

struct BackgroundRow {
  Name name;
  int level;
};
constexpr BackgroundRow kBackgrounds[] = {
    {{"white", "level 255", "", ""}, 255},
    {{"black", "level 0", "", ""}, 0},
    {{"grey", "level 128", "", "gray"}, 128},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::span<const PictureFormat> picture_formats() { return kFormats; }

const PictureFormat* picture_format(std::string_view bytes) {
  for (const PictureFormat& format : kFormats)
    if (format.recognises(bytes)) return &format;
  return nullptr;
}

const PictureFormat* picture_format_of_ending(std::string_view ending) {
  if (ending.starts_with(".")) ending.remove_prefix(1);
  return find_row(picture_formats(), lower(ending));
}

bool Picture::is_transparent() const {
  if (!has_alpha()) return false;
  for (size_t i = static_cast<size_t>(c) - 1; i < samples.size(); i += static_cast<size_t>(c))
    if (samples[i] != largest()) return true;
  return false;
}

Status check_picture_size(int64_t w, int64_t h, int64_t c, size_t file_bytes, int64_t per_byte,
                          std::string_view where) {
  if (w < 1 || h < 1) return corrupt("{}: a picture of {}x{} pixels", where, w, h);
  // Each factor is below 2^32.
  if (w > kMaxPixels || h > kMaxPixels || w * h > kMaxPixels)
    return corrupt("{}: image of {}x{} pixels; at most {} in all expected", where, w, h,
                   kMaxPixels);
  const auto bytes = static_cast<int64_t>(file_bytes + 1);
  if ((per_byte > 0 && w * h > per_byte * bytes) ||
      2 * w * h * c > std::max(kFreeSampleBytes, kSampleBytesPerByte * bytes))
    return corrupt("{}: the header says {}x{} pixels, which its {} bytes cannot hold", where, w, h,
                   file_bytes);
  return {};
}

void cmyk_to_rgb(const uint8_t* cmyk, uint16_t* rgb) {
  const int light = 255 - cmyk[3];
  for (int k = 0; k < 3; ++k)
    rgb[k] = static_cast<uint16_t>(std::clamp(light - times_255th(cmyk[k], light), 0, 255));
}

Result<Picture> decode_picture(std::string_view bytes, std::string_view where) {
  const PictureFormat* format = picture_format(bytes);
  if (format == nullptr)
    return corrupt("{}: not a picture: expected {}{}", where, expected_names(picture_formats()),
                   kind_remark(kind_of_bytes(bytes.substr(0, kFileKindBytes), where)));
  if (bytes.size() > kMaxFileBytes)
    return corrupt("{}: image file of {} bytes; at most {} expected", where, bytes.size(),
                   kMaxFileBytes);
  return format->decode(bytes, where);
}

Result<Picture> read_picture(const Path& path) {
  ITO_ASSIGN(const std::string bytes, read_file(path, kMaxFileBytes));
  return decode_picture(bytes, path.string());
}

Result<Background> parse_background(std::string_view text, std::string_view option) {
  const std::span<const BackgroundRow> rows = kBackgrounds;
  const Error wrong =
      invalid_argument("{} is \"{}\", expected {}, a level from 0 to 255, or a colour #rrggbb",
                       option, text, expected_names(rows));
  const std::string name = lower(text);
  const auto grey = [](int level) {
    const auto byte = static_cast<uint8_t>(level);
    return Background{{byte, byte, byte}};
  };
  if (const BackgroundRow* row = find_row(rows, name)) return grey(row->level);
  const bool hex = name.starts_with("#");
  const std::string digits = hex ? name.substr(1) : name;
  uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != digits.data() + digits.size()) return wrong;
  if (!hex) return value <= 255 ? Result<Background>(grey(static_cast<int>(value))) : wrong;
  if (digits.size() != 6) return wrong;
  return Background{{static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
                     static_cast<uint8_t>(value)}};
}

Picture flattened(const Picture& picture, const Background& background) {
  if (!picture.has_alpha()) return picture;
  const bool colour = picture.c == 4 || (!background.is_grey() && picture.is_transparent());
  Picture out{picture.h, picture.w, colour ? 3 : 1, picture.bits, {}};
  const size_t pixels = static_cast<size_t>(picture.h) * static_cast<size_t>(picture.w);
  const size_t from = static_cast<size_t>(picture.c), to = static_cast<size_t>(out.c);
  out.samples.resize(pixels * to);
  const uint32_t most = static_cast<uint32_t>(picture.largest()), scale = most / 255;
  for (size_t p = 0; p < pixels; ++p) {
    const uint16_t* source = picture.samples.data() + p * from;
    const uint32_t alpha = source[from - 1];
    for (size_t k = 0; k < to; ++k) {
      const uint32_t behind = background.rgb[k] * scale;
      // At most 65535² + half of it in the sum: 32 bits hold it.
      const uint32_t sum = source[from == 2 ? 0 : k] * alpha + behind * (most - alpha);
      out.samples[p * to + k] = static_cast<uint16_t>((sum + most / 2) / most);
    }
  }
  return out;
}

Picture with_channels(const Picture& picture, int channels) {
  CHECK(!picture.has_alpha() && (channels == 1 || channels == 3), "flatten a picture first");
  if (picture.c == channels) return picture;
  Picture out{picture.h, picture.w, channels, picture.bits, {}};
  if (channels == 3) {
    out.samples.reserve(picture.samples.size() * 3);
    for (const uint16_t v : picture.samples) out.samples.insert(out.samples.end(), 3, v);
    return out;
  }
  out.samples.reserve(picture.samples.size() / 3);
  for (size_t i = 0; i < picture.samples.size(); i += 3) {
    const uint64_t luma = picture.samples[i] * uint64_t{19595} +
                          picture.samples[i + 1] * uint64_t{38470} +
                          picture.samples[i + 2] * uint64_t{7471};
    out.samples.push_back(static_cast<uint16_t>((luma + 0x8000) >> 16));
  }
  return out;
}

}  // namespace ito
