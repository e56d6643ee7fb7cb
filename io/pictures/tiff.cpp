// TIFF by libtiff: the first picture of the file. 8 and 16 bits of grey, RGB and CMYK, with alpha,
// and palettes are taken as they are stored; the rest (bilevel, few bits, YCbCr, Lab) as libtiff's
// own conversion to RGBA gives them.
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

// Of libtiff at once: rows, strips and tiles of a picture of few bytes, and of others.
constexpr size_t kFreeAllocation = size_t{8} << 20;
tmsize_t most_allocated(size_t file_bytes) {
  return static_cast<tmsize_t>(std::max(kFreeAllocation, 500 * file_bytes));
}

struct TiffFile {
  std::string_view bytes;
  uint64_t at = 0;
  std::string message;
};

TiffFile& file_of(thandle_t handle) { return *static_cast<TiffFile*>(handle); }

tmsize_t on_read(thandle_t handle, void* out, tmsize_t n) {
  TiffFile& file = file_of(handle);
  if (file.at >= file.bytes.size()) return 0;
  const size_t size = std::min(static_cast<size_t>(n), file.bytes.size() - file.at);
  std::memcpy(out, file.bytes.data() + file.at, size);
  file.at += size;
  return static_cast<tmsize_t>(size);
}

tmsize_t on_write(thandle_t, void*, tmsize_t) { return 0; }

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  TiffFile& file = file_of(handle);
  const uint64_t base = whence == SEEK_CUR ? file.at : whence == SEEK_END ? file.bytes.size() : 0;
  file.at = base + offset;
  return file.at;
}

int on_close(thandle_t) { return 0; }
toff_t on_size(thandle_t handle) { return file_of(handle).bytes.size(); }
int on_map(thandle_t, void**, toff_t*) { return 0; }
void on_unmap(thandle_t, void*, toff_t) {}

int on_error(TIFF*, void* context, const char*, const char* format, va_list arguments) {
  char text[256];
  std::vsnprintf(text, sizeof(text), format, arguments);
  auto* file = static_cast<TiffFile*>(context);
  if (file->message.empty()) file->message = text;
  return 1;
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using Handle = std::unique_ptr<TIFF, void (*)(TIFF*)>;

Handle open(TiffFile* file) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (options == nullptr) return {nullptr, TIFFClose};
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, most_allocated(file->bytes.size()));
  TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, file);
  TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, file);
  Handle handle(TIFFClientOpenExt("picture", "rm", file, on_read, on_write, on_seek, on_close,
                                  on_size, on_map, on_unmap, options),
                TIFFClose);
  TIFFOpenOptionsFree(options);
  return handle;
}

struct Layout {
  uint32_t w = 0, h = 0;
  uint16_t bits = 1, samples = 1, photometric = 0, planar = PLANARCONFIG_CONTIG;
  uint16_t format = SAMPLEFORMAT_UINT, compression = COMPRESSION_NONE, orientation = 1;
  uint16_t extras = 0, extra = EXTRASAMPLE_UNSPECIFIED;
};

Layout layout_of(TIFF* tiff) {
  Layout l;
  uint16_t* extra = nullptr;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &l.w);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &l.h);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &l.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &l.samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &l.planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &l.format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &l.compression);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &l.orientation);
  if (TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &l.photometric) == 0)
    l.photometric = l.samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &l.extras, &extra) != 0 && l.extras > 0)
    l.extra = extra[0];
  return l;
}

// Samples of colour that the photometric interpretation asks for; 0: not one read directly.
int colours_of(const Layout& l) {
  if (l.photometric == PHOTOMETRIC_MINISBLACK || l.photometric == PHOTOMETRIC_MINISWHITE) return 1;
  if (l.photometric == PHOTOMETRIC_RGB) return 3;
  if (l.photometric == PHOTOMETRIC_PALETTE) return l.bits == 8 ? 1 : 0;
  if (l.photometric == PHOTOMETRIC_SEPARATED) return l.bits == 8 ? 4 : 0;
  return 0;
}

bool is_direct(const Layout& l) {
  const int colours = colours_of(l);
  return (l.bits == 8 || l.bits == 16) && l.format == SAMPLEFORMAT_UINT && colours > 0 &&
         l.samples >= colours && l.samples <= colours + 4;
}

// Copies samples of `count` pixels from a row of file samples, which are in this machine's order.
void unpack(const uint8_t* row, const Layout& l, size_t count, size_t stride, uint16_t* out,
            size_t out_stride) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t value = row[i * stride];
    if (l.bits == 16) std::memcpy(&value, row + 2 * i * stride, 2);
    out[i * out_stride] = value;
  }
}

// All stored samples, interleaved: [h, w, l.samples].
Result<std::unique_ptr<uint16_t[]>> stored_samples(TIFF* tiff, const Layout& l,
                                                   const TiffFile& file, std::string_view where) {
  const auto damaged = [&] {
    return corrupt("{}: damaged image ({})", where,
                   file.message.empty() ? "data are missing" : file.message);
  };
  const size_t w = l.w, h = l.h, n = l.samples, bytes = l.bits / 8u;
  const bool planes = l.planar == PLANARCONFIG_SEPARATE && n > 1;
  const size_t walks = planes ? n : 1, per_pixel = planes ? 1 : n;
  auto out = unwritten<uint16_t>(w * h * n);
  const auto place = [&](const uint8_t* row, size_t plane, size_t y, size_t x, size_t count) {
    for (size_t k = 0; k < per_pixel; ++k)
      unpack(row + k * bytes, l, count, per_pixel, out.get() + (y * w + x) * n + plane + k, n);
  };
  if (TIFFIsTiled(tiff) == 0) {
    const tmsize_t size = TIFFScanlineSize(tiff);
    if (size < static_cast<tmsize_t>(w * per_pixel * bytes) ||
        size > most_allocated(file.bytes.size()))
      return damaged();
    std::vector<uint8_t> row(static_cast<size_t>(size));
    for (size_t plane = 0; plane < walks; ++plane)
      for (size_t y = 0; y < h; ++y) {
        if (TIFFReadScanline(tiff, row.data(), static_cast<uint32_t>(y),
                             static_cast<uint16_t>(plane)) != 1)
          return damaged();
        place(row.data(), plane, y, 0, w);
      }
    return out;
  }
  uint32_t tile_w = 0, tile_h = 0;
  TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_w);
  TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_h);
  const tmsize_t size = TIFFTileSize(tiff);
  if (tile_w == 0 || tile_h == 0 || size > most_allocated(file.bytes.size()) ||
      size < static_cast<tmsize_t>(size_t{tile_w} * tile_h * per_pixel * bytes))
    return damaged();
  std::vector<uint8_t> tile(static_cast<size_t>(size));
  for (size_t plane = 0; plane < walks; ++plane)
    for (size_t y = 0; y < h; y += tile_h)
      for (size_t x = 0; x < w; x += tile_w) {
        if (TIFFReadTile(tiff, tile.data(), static_cast<uint32_t>(x), static_cast<uint32_t>(y), 0,
                         static_cast<uint16_t>(plane)) < 0)
          return damaged();
        for (size_t i = 0; i < std::min<size_t>(tile_h, h - y); ++i)
          place(tile.data() + i * tile_w * per_pixel * bytes, plane, y + i, x,
                std::min<size_t>(tile_w, w - x));
      }
  return out;
}

// Grey, RGB, palette or inks of stored samples, and alpha where the file says which sample it is.
Result<Picture> resolve(TIFF* tiff, const Layout& l, const uint16_t* stored,
                        std::string_view where) {
  const size_t colours = static_cast<size_t>(colours_of(l)), n = l.samples;
  const bool alpha = n > colours && l.extras > 0 &&
                     (l.extra == EXTRASAMPLE_ASSOCALPHA || l.extra == EXTRASAMPLE_UNASSALPHA);
  const bool palette = l.photometric == PHOTOMETRIC_PALETTE;
  const bool inks = l.photometric == PHOTOMETRIC_SEPARATED;
  uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
  if (palette && TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue) == 0)
    return corrupt("{}: damaged image (no palette)", where);
  Picture out{static_cast<int>(l.h),
              static_cast<int>(l.w),
              (palette || colours > 1 ? 3 : 1) + (alpha ? 1 : 0),
              l.bits,
              {}};
  const size_t c = static_cast<size_t>(out.c);
  const uint32_t most = static_cast<uint32_t>(out.largest());
  const size_t pixels = size_t{l.w} * l.h;
  out.samples.resize(pixels * c);
  for (size_t p = 0; p < pixels; ++p) {
    const uint16_t* in = stored + p * n;
    uint16_t* to = out.samples.data() + p * c;
    if (palette) {
      to[0] = static_cast<uint16_t>(red[in[0]] >> 8);
      to[1] = static_cast<uint16_t>(green[in[0]] >> 8);
      to[2] = static_cast<uint16_t>(blue[in[0]] >> 8);
    } else if (inks) {
      const uint8_t ink[4] = {static_cast<uint8_t>(in[0]), static_cast<uint8_t>(in[1]),
                              static_cast<uint8_t>(in[2]), static_cast<uint8_t>(in[3])};
      cmyk_to_rgb(ink, to);
    } else {
      std::copy_n(in, colours, to);
      if (l.photometric == PHOTOMETRIC_MINISWHITE) to[0] = static_cast<uint16_t>(most - to[0]);
    }
    if (!alpha) continue;
    const uint32_t a = in[colours];
    to[c - 1] = static_cast<uint16_t>(a);
    for (size_t k = 0; l.extra == EXTRASAMPLE_ASSOCALPHA && a > 0 && k + 1 < c; ++k)
      to[k] = static_cast<uint16_t>(std::min(to[k] * most / a, most));
  }
  return out;
}

// What libtiff makes of the rest.
Result<Picture> converted(TIFF* tiff, const Layout& l, const TiffFile& file,
                          std::string_view where) {
  char reason[1024] = "";
  if (l.format != SAMPLEFORMAT_UINT || l.bits > 16 || TIFFRGBAImageOK(tiff, reason) == 0)
    return unsupported("{}: this kind of TIFF is not supported ({} samples of {} bits{}{})", where,
                       l.samples, l.bits, l.format == SAMPLEFORMAT_IEEEFP ? ", floating point" : "",
                       *reason != '\0' ? std::string("; ") + reason : "");
  const size_t count = size_t{l.w} * l.h;
  const auto pixels = unwritten<uint32_t>(count);
  // Asked for the orientation that it has, it turns nothing.
  if (TIFFReadRGBAImageOriented(tiff, l.w, l.h, pixels.get(), l.orientation, 1) == 0)
    return corrupt("{}: damaged image ({})", where, file.message);
  const bool grey = colours_of(l) == 1 && l.photometric != PHOTOMETRIC_PALETTE;
  Picture out{static_cast<int>(l.h), static_cast<int>(l.w), grey ? 1 : 3, 8, {}};
  out.samples.reserve(count * static_cast<size_t>(out.c));
  for (const uint32_t pixel : std::span(pixels.get(), count)) {
    out.samples.push_back(static_cast<uint16_t>(TIFFGetR(pixel)));
    if (grey) continue;
    out.samples.push_back(static_cast<uint16_t>(TIFFGetG(pixel)));
    out.samples.push_back(static_cast<uint16_t>(TIFFGetB(pixel)));
  }
  return out;
}

// Whether a page follows: a smaller copy of the first and what masks it are none.
bool has_further_page(TIFF* tiff) {
  while (TIFFReadDirectory(tiff) == 1) {
    uint32_t type = 0;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &type);
    if ((type & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) == 0) return true;
  }
  return false;
}

}  // namespace

Result<Picture> decode_tiff(std::string_view bytes, std::string_view where) {
  TiffFile file{.bytes = bytes, .at = 0, .message = {}};
  const Handle handle = open(&file);
  TIFF* tiff = handle.get();
  if (tiff == nullptr)
    return corrupt("{}: damaged image ({})", where,
                   file.message.empty() ? "TIFF header" : file.message);
  Layout layout = layout_of(tiff);
  // Samples beyond the last are nobody's colour, and must not make a large request either.
  const int64_t samples = is_direct(layout) ? std::max<int64_t>(layout.samples, 3) : 4;
  ITO_TRY(check_picture_size(layout.w, layout.h, samples, bytes.size(), 0, where));
  if (layout.compression == COMPRESSION_JPEG && layout.photometric == PHOTOMETRIC_YCBCR) {
    TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    layout.photometric = PHOTOMETRIC_RGB;
  }
  const int orientation = layout.orientation;
  if (!is_direct(layout)) {
    ITO_ASSIGN(Picture picture, converted(tiff, layout, file, where));
    picture.first_of_several = has_further_page(tiff);
    return oriented(std::move(picture), orientation);
  }
  ITO_ASSIGN(const auto stored, stored_samples(tiff, layout, file, where));
  ITO_ASSIGN(Picture picture, resolve(tiff, layout, stored.get(), where));
  picture.first_of_several = has_further_page(tiff);
  return oriented(std::move(picture), orientation);
}

}  // namespace ito
