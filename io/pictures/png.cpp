// PNG by libpng. It checks and unpacks; depths, palettes and transparency are resolved here, so
// that no index reads beyond a palette and no gamma changes a value.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "base/error.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

// One file. What has a destructor lives here, outside of the functions that libpng leaves by a
// jump.
struct PngJob {
  std::string_view bytes;
  size_t at = 0;
  std::jmp_buf jump;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string message;
  Status size;
  std::string_view where;
  std::vector<uint8_t> row;         // as libpng gives it: a byte per sample, or two
  std::unique_ptr<uint8_t[]> rows;  // all of an interlaced picture
  std::vector<uint16_t> samples;    // at their own depth

  ~PngJob() {
    if (png != nullptr) png_destroy_read_struct(&png, &info, nullptr);
  }
};

void on_error(png_structp png, png_const_charp text) {
  auto* job = static_cast<PngJob*>(png_get_error_ptr(png));
  job->message = text;
  std::longjmp(job->jump, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, size_t n) {
  auto* job = static_cast<PngJob*>(png_get_io_ptr(png));
  if (n > job->bytes.size() - job->at) png_error(png, "the file is truncated");
  std::memcpy(out, job->bytes.data() + job->at, n);
  job->at += n;
}

void append_samples(std::vector<uint16_t>& samples, const uint8_t* bytes, size_t size, bool wide) {
  if (!wide) {
    samples.insert(samples.end(), bytes, bytes + size);
    return;
  }
  for (size_t i = 0; i + 1 < size; i += 2)
    samples.push_back(static_cast<uint16_t>(bytes[i] << 8 | bytes[i + 1]));
}

void read_header(PngJob& job) {
  png_set_read_fn(job.png, &job, on_read);
  png_set_crc_action(job.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // What does not change pixels is checked and skipped; in the rest small errors are errors.
  png_set_keep_unknown_chunks(job.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_benign_errors(job.png, 0);
  png_set_user_limits(job.png, 0x7fffffff, 0x7fffffff);
  png_read_info(job.png, job.info);
  const uint32_t w = png_get_image_width(job.png, job.info);
  const uint32_t h = png_get_image_height(job.png, job.info);
  const int type = png_get_color_type(job.png, job.info);
  const int channels = type == PNG_COLOR_TYPE_PALETTE ? 3 : png_get_channels(job.png, job.info);
  const int alpha = png_get_valid(job.png, job.info, PNG_INFO_tRNS) != 0 ? 1 : 0;
  job.size = check_picture_size(w, h, channels + alpha, job.bytes.size(), kPixelsPerDeflatedByte,
                                job.where);
}

void read_rows(PngJob& job) {
  png_set_packing(job.png);
  const int passes = png_set_interlace_handling(job.png);
  png_read_update_info(job.png, job.info);
  const size_t size = png_get_rowbytes(job.png, job.info);
  const uint32_t h = png_get_image_height(job.png, job.info);
  const bool wide = png_get_bit_depth(job.png, job.info) == 16;
  job.samples.reserve(wide ? size * h / 2 : size * h);
  if (passes == 1) {
    job.row.resize(size);
    for (uint32_t y = 0; y < h; ++y) {
      png_read_row(job.png, job.row.data(), nullptr);
      append_samples(job.samples, job.row.data(), size, wide);
    }
  } else {
    job.rows = unwritten<uint8_t>(size * h);
    for (int pass = 0; pass < passes; ++pass)
      for (uint32_t y = 0; y < h; ++y) png_read_row(job.png, job.rows.get() + size * y, nullptr);
    append_samples(job.samples, job.rows.get(), size * h, wide);
    job.rows.reset();
  }
  png_read_end(job.png, nullptr);
}

bool guarded(PngJob& job, void (*work)(PngJob&)) {
  if (setjmp(job.jump) != 0) return false;
  work(job);
  return true;
}

Result<Picture> resolve_palette(PngJob& job, const Picture& indices) {
  png_colorp palette = nullptr;
  png_bytep alpha = nullptr;
  int colours = 0, alphas = 0;
  png_get_PLTE(job.png, job.info, &palette, &colours);
  png_get_tRNS(job.png, job.info, &alpha, &alphas, nullptr);
  bool grey = true;
  for (int i = 0; i < colours; ++i)
    grey = grey && palette[i].red == palette[i].green && palette[i].green == palette[i].blue;
  Picture out{indices.h, indices.w, (grey ? 1 : 3) + (alphas > 0 ? 1 : 0), 8, {}};
  out.samples.reserve(indices.samples.size() * static_cast<size_t>(out.c));
  for (const uint16_t index : indices.samples) {
    if (index >= colours)
      return corrupt("{}: damaged image (a pixel names entry {} of a palette of {})", job.where,
                     index, colours);
    out.samples.push_back(palette[index].red);
    if (!grey) {
      out.samples.push_back(palette[index].green);
      out.samples.push_back(palette[index].blue);
    }
    if (alphas > 0) out.samples.push_back(index < alphas ? alpha[index] : 255);
  }
  return out;
}

// Pixels of the colour that tRNS names become transparent. `samples` still have the file's depth.
Picture resolve_key(const Picture& picture, const png_color_16& key, int depth) {
  Picture out{picture.h, picture.w, picture.c + 1, picture.bits, {}};
  out.samples.reserve(picture.samples.size() / static_cast<size_t>(picture.c) *
                      static_cast<size_t>(out.c));
  const std::array<uint16_t, 3> wanted =
      picture.c == 1 ? std::array<uint16_t, 3>{key.gray, 0, 0}
                     : std::array<uint16_t, 3>{key.red, key.green, key.blue};
  const auto opaque = static_cast<uint16_t>((1 << depth) - 1);
  const size_t c = static_cast<size_t>(picture.c);
  for (size_t i = 0; i < picture.samples.size(); i += c) {
    bool hit = true;
    for (size_t k = 0; k < c; ++k) {
      hit = hit && picture.samples[i + k] == wanted[k];
      out.samples.push_back(picture.samples[i + k]);
    }
    out.samples.push_back(hit ? uint16_t{0} : opaque);
  }
  return out;
}

size_t number_at(std::string_view bytes, size_t at) {
  size_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

// What the first chunk of that name holds; empty without one. The chunks have been read, so lengths
// are sound.
std::string_view chunk_called(std::string_view bytes, std::string_view name) {
  for (size_t at = 8; at + 12 <= bytes.size();) {
    const size_t length = number_at(bytes, at);
    if (length > bytes.size() - at - 12) break;
    if (bytes.substr(at + 4, 4) == name) return bytes.substr(at + 8, length);
    at += 12 + length;
  }
  return {};
}

// Turned as its eXIf chunk says; of an animation (acTL, which begins with the number of its frames)
// the first picture.
Picture with_chunks(Picture picture, std::string_view bytes) {
  const std::string_view animation = chunk_called(bytes, "acTL");
  picture.first_of_several = animation.size() >= 4 && number_at(animation, 0) > 1;
  return oriented(std::move(picture), exif_orientation(chunk_called(bytes, "eXIf")));
}

}  // namespace

Result<Picture> decode_png(std::string_view bytes, std::string_view where) {
  PngJob job;
  job.bytes = bytes;
  job.where = where;
  job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
  if (job.png != nullptr) job.info = png_create_info_struct(job.png);
  if (job.info == nullptr) return out_of_memory("{}: cannot start decoding", where);
  if (!guarded(job, read_header)) return corrupt("{}: damaged image ({})", where, job.message);
  ITO_TRY(job.size);
  if (!guarded(job, read_rows)) return corrupt("{}: damaged image ({})", where, job.message);

  const int depth = png_get_bit_depth(job.png, job.info);
  const int file_depth = depth < 8 ? 8 : depth;  // packing has made bytes of smaller ones
  const int type = png_get_color_type(job.png, job.info);
  // After packing libpng tells 8; the header keeps the depth of the file.
  const int stored = static_cast<unsigned char>(bytes[24]);
  Picture picture{static_cast<int>(png_get_image_height(job.png, job.info)),
                  static_cast<int>(png_get_image_width(job.png, job.info)),
                  png_get_channels(job.png, job.info), file_depth, std::move(job.samples)};
  if (type == PNG_COLOR_TYPE_PALETTE) {
    ITO_ASSIGN(picture, resolve_palette(job, picture));
    return with_chunks(std::move(picture), bytes);
  }
  png_color_16p key = nullptr;
  if (png_get_tRNS(job.png, job.info, nullptr, nullptr, &key) != 0 && key != nullptr &&
      !picture.has_alpha())
    picture = resolve_key(picture, *key, stored);
  if (stored < 8) {
    const int factor = 255 / ((1 << stored) - 1);
    for (uint16_t& sample : picture.samples) sample = static_cast<uint16_t>(sample * factor);
  }
  return with_chunks(std::move(picture), bytes);
}

}  // namespace ito
