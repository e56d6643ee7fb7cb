// JPEG by libjpeg-turbo, with the settings that Pillow has (accurate integer transform, smooth
// upsampling), so that the values are the same.
#include <cstdio>  // jpeglib.h needs it and does not say so
// After it.
#include <jpeglib.h>
// After that.
#include <jerror.h>

#include <csetjmp>

#include "base/error.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

// A block of 64 pixels takes a bit at least, and of a colour picture two planes may have a quarter
// of the pixels each.
constexpr int64_t kJpegPixelsPerByte = 64 * 8;
// A progressive file may ask for any number of walks over the whole picture.
constexpr int kMostScans = 500;
// Of libjpeg, for pictures of few bytes.
constexpr size_t kFreeMemory = size_t{24} << 20;

struct JpegJob {
  std::string_view bytes, where;
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  bool created = false;
  std::string message;
  Status size;
  std::vector<uint8_t> row;
  int orientation = 1;
  Picture picture;

  ~JpegJob() {
    if (created) jpeg_destroy_decompress(&info);
  }
};

JpegJob& job_of(j_common_ptr info) { return *static_cast<JpegJob*>(info->client_data); }

std::string text_of(j_common_ptr info) {
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  return text;
}

[[noreturn]] void on_error(j_common_ptr info) {
  JpegJob& job = job_of(info);
  job.message = text_of(info);
  std::longjmp(job.jump, 1);
}

// libjpeg repairs damaged data and warns. Warnings that mean lost data end the reading; others, of
// odd headers or of bytes between two markers, change no pixel.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  const bool lost = code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
                    code == JWRN_JPEG_EOF || code == JWRN_MUST_RESYNC ||
                    code == JWRN_ARITH_BAD_CODE;
  if (lost) on_error(info);  // libjpeg would make up the rest of the picture
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  job_of(info).message = "too many scans";
  std::longjmp(job_of(info).jump, 1);
}

void read_header(JpegJob& job) {
  jpeg_create_decompress(&job.info);
  job.created = true;
  job.info.progress = &job.progress;
  jpeg_mem_src(&job.info, reinterpret_cast<const unsigned char*>(job.bytes.data()),
               static_cast<unsigned long>(job.bytes.size()));
  jpeg_save_markers(&job.info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&job.info, TRUE);
  job.size = check_picture_size(job.info.image_width, job.info.image_height,
                                job.info.num_components == 1 ? 1 : 3, job.bytes.size(),
                                kJpegPixelsPerByte, job.where);
  // A progressive picture's coefficients, all at once: of photographs a few times the file.
  job.info.mem->max_memory_to_use = static_cast<long>(std::max(kFreeMemory, 64 * job.bytes.size()));
  for (const jpeg_marker_struct* m = job.info.marker_list; m != nullptr; m = m->next) {
    const std::string_view data(reinterpret_cast<const char*>(m->data), m->data_length);
    if (data.starts_with(std::string_view("Exif\0\0", 6))) {
      job.orientation = exif_orientation(data);
      break;
    }
  }
}

void read_rows(JpegJob& job) {
  jpeg_decompress_struct& info = job.info;
  const bool grey = info.num_components == 1, inks = info.num_components == 4;
  info.out_color_space = grey ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  const size_t w = info.output_width, in = static_cast<size_t>(info.output_components);
  job.picture = {static_cast<int>(info.output_height), static_cast<int>(w), grey ? 1 : 3, 8, {}};
  const size_t c = static_cast<size_t>(job.picture.c);
  job.picture.samples.reserve(w * info.output_height * c);
  job.row.resize(w * in);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = job.row.data();
    if (jpeg_read_scanlines(&info, &row, 1) != 1) break;
    if (!inks) {
      job.picture.samples.insert(job.picture.samples.end(), job.row.begin(), job.row.end());
      continue;
    }
    job.picture.samples.resize(job.picture.samples.size() + w * c);
    uint16_t* const out = job.picture.samples.data() + job.picture.samples.size() - w * c;
    // By Adobe's convention 0 is full ink.
    for (uint8_t& ink : job.row) ink = static_cast<uint8_t>(255 - ink);
    for (size_t x = 0; x < w; ++x) cmyk_to_rgb(job.row.data() + 4 * x, out + 3 * x);
  }
  jpeg_finish_decompress(&info);
}

bool guarded(JpegJob& job, void (*work)(JpegJob&)) {
  if (setjmp(job.jump) != 0) return false;
  work(job);
  return true;
}

}  // namespace

Result<Picture> decode_jpeg(std::string_view bytes, std::string_view where) {
  JpegJob job;
  job.bytes = bytes;
  job.where = where;
  job.info.err = jpeg_std_error(&job.errors);
  job.errors.error_exit = on_error;
  job.errors.emit_message = on_message;
  job.info.client_data = &job;
  job.progress.progress_monitor = on_progress;
  if (!guarded(job, read_header)) return corrupt("{}: damaged image ({})", where, job.message);
  ITO_TRY(job.size);
  if (!guarded(job, read_rows)) return corrupt("{}: damaged image ({})", where, job.message);
  return oriented(std::move(job.picture), job.orientation);
}

}  // namespace ito
