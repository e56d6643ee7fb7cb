// GIF by giflib: the first frame, placed on the canvas, which is transparent around it.
#include <gif_lib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

// A code of 12 bits stands for at most 4096 pixels.
constexpr int64_t kGifPixelsPerByte = 4096;

struct GifSource {
  std::string_view rest;
};

int on_read(GifFileType* file, GifByteType* out, int n) {
  auto* source = static_cast<GifSource*>(file->UserData);
  const size_t size = std::min(static_cast<size_t>(n), source->rest.size());
  std::memcpy(out, source->rest.data(), size);
  source->rest.remove_prefix(size);
  return static_cast<int>(size);
}

class GifReader {
 public:
  explicit GifReader(GifSource* source) { file_ = DGifOpen(source, on_read, &error_); }
  GifReader(const GifReader&) = delete;
  GifReader& operator=(const GifReader&) = delete;
  ~GifReader() {
    if (file_ != nullptr) DGifCloseFile(file_, nullptr);
  }
  GifFileType* file() { return file_; }
  const char* reason() const {
    const char* text = GifErrorString(file_ != nullptr ? file_->Error : error_);
    return text != nullptr ? text : "truncated";
  }

 private:
  GifFileType* file_ = nullptr;
  int error_ = 0;
};

// Reads up to the next frame's description; *transparent is the index that is not drawn, or -1.
bool find_frame(GifFileType* file, int* transparent) {
  GifRecordType type = UNDEFINED_RECORD_TYPE;
  while (DGifGetRecordType(file, &type) == GIF_OK) {
    if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(file) == GIF_OK;
    if (type != EXTENSION_RECORD_TYPE) return false;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(file, &code, &block) != GIF_OK) return false;
    while (block != nullptr) {
      GraphicsControlBlock control;
      if (code == GRAPHICS_EXT_FUNC_CODE &&
          DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
        *transparent = control.TransparentColor;
      if (DGifGetExtensionNext(file, &block) != GIF_OK) return false;
    }
  }
  return false;
}

// The rows in the order of the file: interlaced files have every 8th, then those between.
std::vector<int> row_order(int h, bool interlaced) {
  std::vector<int> rows;
  constexpr std::array<std::array<int, 2>, 4> kPasses = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& [first, step] : kPasses)
    for (int y = first; interlaced && y < h; y += step) rows.push_back(y);
  for (int y = 0; !interlaced && y < h; ++y) rows.push_back(y);
  return rows;
}

}  // namespace

Result<Picture> decode_gif(std::string_view bytes, std::string_view where) {
  GifSource source{bytes};
  GifReader reader(&source);
  GifFileType* file = reader.file();
  int transparent = NO_TRANSPARENT_COLOR;
  if (file == nullptr || !find_frame(file, &transparent))
    return corrupt("{}: damaged image ({})", where, reader.reason());
  const GifImageDesc& frame = file->Image;
  const ColorMapObject* map = frame.ColorMap != nullptr ? frame.ColorMap : file->SColorMap;
  if (map == nullptr) return corrupt("{}: damaged image (no palette)", where);
  if (frame.Left < 0 || frame.Top < 0 || frame.Width < 1 || frame.Height < 1)
    return corrupt("{}: damaged image (an empty frame)", where);
  const int w = std::max(file->SWidth, frame.Left + frame.Width);
  const int h = std::max(file->SHeight, frame.Top + frame.Height);
  ITO_TRY(check_picture_size(frame.Width, frame.Height, 4, bytes.size(), kGifPixelsPerByte, where));
  ITO_TRY(check_picture_size(w, h, 4, bytes.size(), kGifPixelsPerByte, where));
  const size_t frame_w = static_cast<size_t>(frame.Width);
  const auto indices = unwritten<GifPixelType>(frame_w * static_cast<size_t>(frame.Height));
  for (const int y : row_order(frame.Height, frame.Interlace))
    if (DGifGetLine(file, indices.get() + static_cast<size_t>(y) * frame_w, frame.Width) != GIF_OK)
      return corrupt("{}: damaged image ({})", where, reader.reason());

  bool grey = true;
  for (int i = 0; i < map->ColorCount; ++i) {
    const GifColorType& colour = map->Colors[i];
    grey = grey && colour.Red == colour.Green && colour.Green == colour.Blue;
  }
  const bool covers = frame.Width == w && frame.Height == h;
  const bool alpha = transparent != NO_TRANSPARENT_COLOR || !covers;
  Picture picture{h, w, (grey ? 1 : 3) + (alpha ? 1 : 0), 8, {}};
  const size_t c = static_cast<size_t>(picture.c);
  picture.samples.assign(static_cast<size_t>(w) * static_cast<size_t>(h) * c, 0);
  for (int y = 0; y < frame.Height; ++y) {
    const std::span<const GifPixelType> row(indices.get() + static_cast<size_t>(y) * frame_w,
                                            frame_w);
    uint16_t* out =
        picture.samples.data() + (static_cast<size_t>(frame.Top + y) * static_cast<size_t>(w) +
                                  static_cast<size_t>(frame.Left)) *
                                     c;
    for (const GifPixelType index : row) {
      if (index >= map->ColorCount)
        return corrupt("{}: damaged image (a pixel names entry {} of a palette of {})", where,
                       index, map->ColorCount);
      const GifColorType& colour = map->Colors[index];
      *out++ = colour.Red;
      if (!grey) {
        *out++ = colour.Green;
        *out++ = colour.Blue;
      }
      if (alpha) *out++ = index == transparent ? 0 : 255;
    }
  }
  picture.first_of_several = find_frame(file, &transparent);
  return picture;
}

}  // namespace ito
