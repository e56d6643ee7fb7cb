#include "io/datasets/picture_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/hash.h"
#include "io/ordered_map.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr const char* kImages = "images";
constexpr const char* kVersion = "1";  // of what decoding makes of a picture

// What the decoded pictures depend on.
std::string key_of(const PictureList& list, const DatasetOptions& options) {
  uint64_t hash = hash_bytes(kVersion + dump_json_line(dataset_options_json(options)) +
                             std::to_string(options.channels));
  for (const PictureList::Entry& entry : list.entries) {
    std::error_code error;
    const auto size = std::filesystem::file_size(entry.path, error);
    const auto time = std::filesystem::last_write_time(entry.path, error);
    hash = hash_bytes(
        fmt::format("{}\n{} {}\n", entry.path.string(), size, time.time_since_epoch().count()),
        hash);
  }
  return fmt::format("{:016x}", hash);
}

Json json_of(const PicturesSeen& seen) {
  return {{"h", seen.h},
          {"w", seen.w},
          {"c", seen.c},
          {"deep", seen.deep},
          {"least", seen.least},
          {"most", seen.most},
          {"transparent", seen.transparent}};
}

Result<PicturesSeen> seen_from_json(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  PicturesSeen seen;
  ITO_TRY(object.read("h", &seen.h));
  ITO_TRY(object.read("w", &seen.w));
  ITO_TRY(object.read("c", &seen.c));
  ITO_TRY(object.read("deep", &seen.deep));
  ITO_TRY(object.read("least", &seen.least));
  ITO_TRY(object.read("most", &seen.most));
  ITO_TRY(object.read("transparent", &seen.transparent));
  return seen;
}

struct Files {
  Path bytes, floats, facts;
};

// Notes what a picture adds; false if it needs more channels or bits than those before it.
bool take_note(PicturesSeen& seen, const DecodedPicture& decoded, bool first) {
  const Picture& picture = decoded.picture;
  const bool fits = first || (picture.c <= seen.c && (picture.bits == 8 || seen.deep));
  if (first) {
    seen.h = picture.h;
    seen.w = picture.w;
  }
  seen.c = std::max(seen.c, picture.c);
  seen.deep = seen.deep || picture.bits > 8;
  for (const uint16_t v : picture.samples) {
    seen.least = first && &v == picture.samples.data() ? v : std::min<double>(seen.least, v);
    seen.most = std::max<double>(seen.most, v);
  }
  seen.transparent += decoded.transparent ? 1 : 0;
  return fits;
}

// One of the files, of the layout that `seen` says. Sets *widened, and writes nothing, where a
// picture does not fit that; *seen is brought up to date.
Status write_file(const Path& path, const PictureList& list, const DatasetOptions& options,
                  bool floats, PicturesSeen* seen, bool* widened) {
  const int c = seen->c;
  const Shape shape{static_cast<int64_t>(list.entries.size()), seen->h, seen->w, c};
  const PicturesSeen layout = *seen;
  PicturesSeen fresh{.h = layout.h, .w = layout.w, .c = layout.c, .deep = layout.deep};
  const Error stop{ErrorKind::kInterrupted, "other layout"};
  const auto body = [&](const ByteSink& sink) {
    return decode_all(list, options, [&](int64_t i, DecodedPicture decoded) -> Status {
      ITO_TRY(check_same_size(list, i, decoded.picture, layout.h, layout.w));
      if (i == 0) fresh.least = decoded.picture.samples.front();
      *widened = !take_note(fresh, decoded, false);
      if (*widened) return stop;
      const Picture picture = with_channels(decoded.picture, c);
      if (floats) {
        const float half = static_cast<float>(picture.largest()) / 2;
        std::vector<float> values;
        values.reserve(picture.samples.size());
        for (const uint16_t v : picture.samples)
          values.push_back(static_cast<float>(v) / half - 1.0f);
        return sink({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
      }
      std::string bytes;
      bytes.reserve(picture.samples.size());
      for (const uint16_t v : picture.samples)
        bytes.push_back(static_cast<char>(picture.bits == 8 ? v : (v + 128) / 257));
      return sink(bytes);
    });
  };
  const Status status =
      write_safetensors_stream(path, kImages, floats ? HostType::kF32 : HostType::kU8, shape, body);
  *seen = fresh;
  if (*widened) return {};
  return status;
}

Result<PicturesSeen> make_cache(const PictureList& list, const DatasetOptions& options,
                                const Files& files) {
  PicturesSeen seen;
  ITO_ASSIGN(const DecodedPicture first, decode_picture(list, options, 0));
  take_note(seen, first, true);
  for (bool widened = true; widened;) {
    widened = false;
    ITO_TRY(write_file(files.bytes, list, options, false, &seen, &widened));
    if (widened) continue;
    if (seen.deep) ITO_TRY(write_file(files.floats, list, options, true, &seen, &widened));
  }
  ITO_TRY(write_file_atomic(files.facts, dump_json(json_of(seen))));
  return seen;
}

Result<HostTensor> mapped_images(const Path& path, HostType type, const Shape& shape) {
  ITO_ASSIGN(TensorFile file, read_safetensors(path));
  const auto found = file.tensors.find(kImages);
  if (found == file.tensors.end() || found->second.type != type || found->second.shape != shape)
    return corrupt("{}: no cache of {} {}; remove it and it is made anew", path.string(),
                   host_type_name(type), shape.to_string());
  return std::move(found->second);
}

}  // namespace

Result<DecodedPicture> decode_picture(const PictureList& list, const DatasetOptions& options,
                                      int64_t i) {
  ITO_ASSIGN(Picture picture, read_picture(list.entries[static_cast<size_t>(i)].path));
  const bool transparent = picture.is_transparent();
  picture = flattened(picture, options.background);
  if (options.channels != 0) picture = with_channels(picture, options.channels);
  return DecodedPicture{.picture = fitted(picture, options, static_cast<uint64_t>(i)),
                        .transparent = transparent};
}

Status check_same_size(const PictureList& list, int64_t i, const Picture& picture, int h, int w) {
  if (picture.h == h && picture.w == w) return {};
  return corrupt(
      "{}: image of {}x{}, but {} has {}x{}; expected one size: --resize N scales and cuts all to "
      "N pixels, with --pad it surrounds instead of cutting",
      list.entries[static_cast<size_t>(i)].path.string(), picture.w, picture.h,
      list.entries[0].path.string(), w, h);
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

Result<CachedPictures> cached_pictures(const PictureList& list, const DatasetOptions& options) {
  const Path folder = options.reading.cache;
  ITO_TRY(make_folders(folder));
  const std::string name = "images-" + key_of(list, options);
  const Files files{.bytes = folder / (name + ".safetensors"),
                    .floats = folder / (name + "-deep.safetensors"),
                    .facts = folder / (name + ".json")};
  CachedPictures cached;
  if (file_exists(files.facts) && file_exists(files.bytes)) {
    ITO_ASSIGN(const Json json, read_json(files.facts));
    ITO_ASSIGN(cached.seen, seen_from_json(json, files.facts.string()));
  } else {
    ITO_ASSIGN(cached.seen, make_cache(list, options, files));
  }
  const PicturesSeen& seen = cached.seen;
  const Shape shape{static_cast<int64_t>(list.entries.size()), seen.h, seen.w, seen.c};
  auto store = std::make_shared<PixelStore>();
  store->key = name;
  ITO_ASSIGN(store->bytes, mapped_images(files.bytes, HostType::kU8, shape));
  if (seen.deep) {
    ITO_ASSIGN(store->floats, mapped_images(files.floats, HostType::kF32, shape));
  }
  cached.store = std::move(store);
  return cached;
}

}  // namespace ito
