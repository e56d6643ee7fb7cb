#include "io/datasets/picture_survey.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "io/ordered_map.h"

namespace ito {
namespace {

Result<Picture> read_inside(const PictureList::Entry& entry) {
  ITO_ASSIGN(const MappedFile archive, MappedFile::open(entry.path));
  const std::string_view bytes = archive.bytes();
  if (entry.offset > bytes.size() || entry.size > bytes.size() - entry.offset)
    return corrupt("{}: the archive has become shorter", entry.name());
  return ito::decode_picture(bytes.substr(entry.offset, entry.size), entry.name());
}

}  // namespace

Result<DecodedPicture> decode_picture(const PictureList& list, const DatasetOptions& options,
                                      int64_t i) {
  const PictureList::Entry& entry = list.entries[static_cast<size_t>(i)];
  ITO_ASSIGN(Picture picture, entry.inside.empty() ? read_picture(entry.path) : read_inside(entry));
  const bool transparent = picture.is_transparent(), several = picture.first_of_several;
  picture = flattened(picture, options.background);
  if (options.channels != 0) picture = with_channels(picture, options.channels);
  return DecodedPicture{
      .picture = fitted(picture, options), .transparent = transparent, .first_of_several = several};
}

Status check_same_size(const PictureList& list, const DatasetOptions& options, int64_t i,
                       const Picture& picture, int h, int w) {
  if (stay_whole(options) || (picture.h == h && picture.w == w)) return {};
  return corrupt(
      "{}: image of {}x{}, but {} has {}x{}; expected one size: --resize N scales and cuts all to "
      "N pixels, with --pad it surrounds instead of cutting",
      list.entries[static_cast<size_t>(i)].name(), picture.w, picture.h, list.entries[0].name(), w,
      h);
}

Status decode_all(const PictureList& list, const DatasetOptions& options,
                  const std::function<Status(int64_t, DecodedPicture)>& take) {
  const auto count = static_cast<int64_t>(list.entries.size());
  return ordered_map<DecodedPicture>(
      count, worker_threads(), [&](int64_t i) { return decode_picture(list, options, i); },
      [&](int64_t i, DecodedPicture decoded) -> Status {
        ITO_TRY(take(i, std::move(decoded)));
        if (options.reading.progress) return options.reading.progress(i + 1, count);
        return {};
      });
}

Result<PicturesSeen> first_seen(const PictureList& list, const DatasetOptions& options) {
  ITO_ASSIGN(const DecodedPicture first, decode_picture(list, options, 0));
  const Picture& picture = first.picture;
  const bool whole = stay_whole(options);
  return PicturesSeen{.h = whole ? options.height : picture.h,
                      .w = whole ? options.width : picture.w,
                      .c = picture.c,
                      .deep = picture.bits > 8,
                      .bytes = {},
                      .words = {},
                      .hash = hash_bytes("")};
}

bool take_note(PicturesSeen& seen, const DecodedPicture& decoded) {
  const Picture& picture = decoded.picture;
  const bool fits = picture.c <= seen.c && (picture.bits == 8 || seen.deep);
  seen.c = std::max(seen.c, picture.c);
  seen.deep = seen.deep || picture.bits > 8;
  SamplesSeen& samples = picture.bits > 8 ? seen.words : seen.bytes;
  const auto [least, most] = std::minmax_element(picture.samples.begin(), picture.samples.end());
  samples.least = samples.pictures == 0 ? *least : std::min<int>(samples.least, *least);
  samples.most = std::max<int>(samples.most, *most);
  ++samples.pictures;
  seen.transparent += decoded.transparent ? 1 : 0;
  seen.first_of_several += decoded.first_of_several ? 1 : 0;
  return fits;
}

std::string bytes_of_picture(const Picture& given, int channels) {
  const Picture picture = with_channels(given, channels);
  std::string bytes;
  bytes.reserve(picture.samples.size());
  for (const uint16_t v : picture.samples)
    bytes.push_back(static_cast<char>(byte_of_sample(v, picture.bits)));
  return bytes;
}

Result<PictureSurvey> survey_pictures(const PictureList& list, const DatasetOptions& options) {
  ITO_ASSIGN(PicturesSeen layout, first_seen(list, options));
  while (true) {
    PictureSurvey survey{.seen = layout, .whole = {}};
    PicturesSeen& seen = survey.seen;
    int64_t pixels = 0;
    bool widened = false;
    ITO_TRY(decode_all(list, options, [&](int64_t i, const DecodedPicture& decoded) -> Status {
      const Picture& picture = decoded.picture;
      ITO_TRY(check_same_size(list, options, i, picture, seen.h, seen.w));
      widened = !take_note(seen, decoded) || widened;
      if (stay_whole(options)) survey.whole.push_back({picture.h, picture.w, pixels});
      pixels += static_cast<int64_t>(picture.h) * picture.w;
      if (!widened) seen.hash = hash_bytes(bytes_of_picture(picture, seen.c), seen.hash);
      return {};
    }));
    if (!widened) return survey;
    layout.c = seen.c;
    layout.deep = seen.deep;
  }
}

}  // namespace ito
