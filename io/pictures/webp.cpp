// WebP by libwebp; of an animation the first frame, on its canvas.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "base/error.h"
#include "io/pictures/formats.h"

namespace ito {
namespace {

struct Demuxer {
  explicit Demuxer(const WebPData& data) : handle(WebPDemux(&data)) {}
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;
  ~Demuxer() { WebPDemuxDelete(handle); }
  WebPDemuxer* handle;
};

int orientation_of(WebPDemuxer* demuxer) {
  WebPChunkIterator chunk;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk) == 0) return 1;
  const int orientation =
      exif_orientation({reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size});
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

Picture picture_of(const uint8_t* pixels, int w, int h, int c) {
  const size_t n = static_cast<size_t>(w) * static_cast<size_t>(h) * static_cast<size_t>(c);
  return {h, w, c, 8, std::vector<uint16_t>(pixels, pixels + n)};
}

Result<Picture> first_frame(const WebPData& data, std::string_view where) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0)
    return unsupported("{}: this libwebp cannot decode animations", where);
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  WebPAnimInfo info;
  uint8_t* pixels = nullptr;
  int time = 0;
  if (!decoder || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0 ||
      WebPAnimDecoderGetNext(decoder.get(), &pixels, &time) == 0)
    return corrupt("{}: damaged image (WebP animation)", where);
  return picture_of(pixels, static_cast<int>(info.canvas_width),
                    static_cast<int>(info.canvas_height), 4);
}

}  // namespace

Result<Picture> decode_webp(std::string_view bytes, std::string_view where) {
  const WebPData data{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(data.bytes, data.size, &features);
  if (status != VP8_STATUS_OK)
    return corrupt("{}: damaged image ({})", where,
                   status == VP8_STATUS_NOT_ENOUGH_DATA ? "the file is truncated" : "WebP header");
  ITO_TRY(check_picture_size(features.width, features.height, 4, bytes.size(), 0, where));
  const Demuxer demuxer(data);
  if (demuxer.handle == nullptr) return corrupt("{}: damaged image (WebP container)", where);
  const int orientation = orientation_of(demuxer.handle);
  if (features.has_animation != 0) {
    ITO_ASSIGN(Picture frame, first_frame(data, where));
    frame.first_of_several = WebPDemuxGetI(demuxer.handle, WEBP_FF_FRAME_COUNT) > 1;
    return oriented(std::move(frame), orientation);
  }
  int w = 0, h = 0;
  const bool alpha = features.has_alpha != 0;
  const std::unique_ptr<uint8_t, void (*)(void*)> pixels(
      alpha ? WebPDecodeRGBA(data.bytes, data.size, &w, &h)
            : WebPDecodeRGB(data.bytes, data.size, &w, &h),
      WebPFree);
  if (!pixels) return corrupt("{}: damaged image (WebP data)", where);
  return oriented(picture_of(pixels.get(), w, h, alpha ? 4 : 3), orientation);
}

}  // namespace ito
