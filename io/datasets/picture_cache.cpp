#include "io/datasets/picture_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/hash.h"
#include "io/compress.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr const char* kImages = "images";
constexpr const char* kVersion = "3";  // of what decoding makes of a picture

// What the decoded pictures depend on.
std::string key_of(const PictureList& list, const DatasetOptions& options) {
  uint64_t hash =
      hash_bytes(kVersion + dump_json_line(dataset_options_json(options)) +
                 std::to_string(options.channels) + (stay_whole(options) ? " whole" : ""));
  for (const PictureList::Entry& entry : list.entries) {
    std::error_code error;
    const auto size = std::filesystem::file_size(entry.path, error);
    const auto time = std::filesystem::last_write_time(entry.path, error);
    hash = hash_bytes(fmt::format("{}\n{} {} {}\n", entry.name(), size,
                                  time.time_since_epoch().count(), entry.offset),
                      hash);
  }
  return fmt::format("{:016x}", hash);
}

Json json_of(const SamplesSeen& seen) {
  return {{"pictures", seen.pictures}, {"least", seen.least}, {"most", seen.most}};
}

Json json_of(const PicturesSeen& seen) {
  return {{"h", seen.h},
          {"w", seen.w},
          {"c", seen.c},
          {"deep", seen.deep},
          {"bytes", json_of(seen.bytes)},
          {"words", json_of(seen.words)},
          {"transparent", seen.transparent},
          {"first_of_several", seen.first_of_several},
          {"hash", seen.hash}};
}

Status read_samples(JsonObject& from, const char* key, SamplesSeen* seen) {
  ITO_TRY(from.require(key));
  ITO_ASSIGN(JsonObject object, JsonObject::open(*from.find(key), from.where()));
  ITO_TRY(object.read("pictures", &seen->pictures));
  ITO_TRY(object.read("least", &seen->least));
  return object.read("most", &seen->most);
}

Result<PicturesSeen> seen_from_json(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  PicturesSeen seen;
  ITO_TRY(object.read("h", &seen.h));
  ITO_TRY(object.read("w", &seen.w));
  ITO_TRY(object.read("c", &seen.c));
  ITO_TRY(object.read("deep", &seen.deep));
  ITO_TRY(read_samples(object, "bytes", &seen.bytes));
  ITO_TRY(read_samples(object, "words", &seen.words));
  ITO_TRY(object.read("transparent", &seen.transparent));
  ITO_TRY(object.read("first_of_several", &seen.first_of_several));
  ITO_TRY(object.read("hash", &seen.hash));
  return seen;
}

struct Files {
  Path bytes, floats, sizes, facts;

  // Those that there are, but for the facts.
  std::vector<Path> of_pixels(const DatasetOptions& options, const PicturesSeen& seen) const {
    std::vector<Path> files = {bytes};
    if (seen.deep) files.push_back(floats);
    if (stay_whole(options)) files.push_back(sizes);
    return files;
  }
};

constexpr const char *kChecksums = "crc32",  // of the facts: by the files' names
    *kOfFacts = "facts";                     // and of what is said beside it

Result<uint32_t> checksum_of(const Path& path) {
  ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
  return crc32_of(file.bytes());
}

// Of all images that stay whole together.
int64_t pixels_of(const std::vector<WholeImage>& whole) {
  const WholeImage& last = whole.back();
  return last.begin + static_cast<int64_t>(last.h) * last.w;
}

Shape shape_of(const PictureList& list, const PicturesSeen& seen,
               const std::vector<WholeImage>& whole) {
  if (!whole.empty()) return {pixels_of(whole), seen.c};
  return {static_cast<int64_t>(list.entries.size()), seen.h, seen.w, seen.c};
}

// One of the files, of the layout that `seen` says. Sets *widened, and writes nothing, where a
// picture does not fit that; *seen is brought up to date.
Status write_file(const Path& path, const PictureList& list, const DatasetOptions& options,
                  const std::vector<WholeImage>& whole, bool floats, PicturesSeen* seen,
                  bool* widened) {
  const int c = seen->c;
  ITO_ASSIGN(PicturesSeen fresh, first_seen(list, options));
  fresh.c = c;
  fresh.deep = seen->deep;
  const Error stop{ErrorKind::kInterrupted, "other layout"};
  const auto body = [&](const ByteSink& sink) {
    return decode_all(list, options, [&](int64_t i, const DecodedPicture& decoded) -> Status {
      ITO_TRY(check_same_size(list, options, i, decoded.picture, seen->h, seen->w));
      *widened = !take_note(fresh, decoded);
      if (*widened) return stop;
      const std::string bytes = bytes_of_picture(decoded.picture, c);
      fresh.hash = hash_bytes(bytes, fresh.hash);
      if (!floats) return sink(bytes);
      const Picture picture = with_channels(decoded.picture, c);
      std::vector<float> values;
      values.reserve(picture.samples.size());
      for (const uint16_t v : picture.samples) values.push_back(number_of_sample(v, picture.bits));
      return sink({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    });
  };
  const Status status = write_safetensors_stream(
      path, kImages, floats ? HostType::kF32 : HostType::kU8, shape_of(list, *seen, whole), body);
  *seen = fresh;
  if (*widened) return {};
  return status;
}

// Heights and widths of images that stay whole.
Status write_sizes(const Path& path, const std::vector<WholeImage>& whole) {
  std::vector<int32_t> sizes;
  for (const WholeImage& image : whole) sizes.insert(sizes.end(), {image.h, image.w});
  const auto body = [&](const ByteSink& sink) {
    return sink({reinterpret_cast<const char*>(sizes.data()), sizes.size() * sizeof(int32_t)});
  };
  return write_safetensors_stream(path, kImages, HostType::kI32,
                                  {static_cast<int64_t>(whole.size()), 2}, body);
}

Status make_cache(const PictureList& list, const DatasetOptions& options, const Files& files) {
  PictureSurvey survey;
  if (stay_whole(options)) {  // their sizes come first
    ITO_ASSIGN(survey, survey_pictures(list, options));
    ITO_TRY(write_sizes(files.sizes, survey.whole));
  } else {
    ITO_ASSIGN(survey.seen, first_seen(list, options));
  }
  PicturesSeen& seen = survey.seen;
  for (bool widened = true; widened;) {
    widened = false;
    ITO_TRY(write_file(files.bytes, list, options, survey.whole, false, &seen, &widened));
    if (widened) continue;
    if (seen.deep)
      ITO_TRY(write_file(files.floats, list, options, survey.whole, true, &seen, &widened));
  }
  Json json = json_of(seen);
  for (const Path& path : files.of_pixels(options, seen)) {
    ITO_ASSIGN(json[kChecksums][path.filename().string()], checksum_of(path));
  }
  const uint32_t of_facts = crc32_of(dump_json_line(json));
  json[kChecksums][kOfFacts] = of_facts;
  return write_file_atomic(files.facts, dump_json(json));
}

Result<HostTensor> mapped_images(const Path& path, HostType type, const Shape& shape) {
  ITO_ASSIGN(TensorFile file, read_safetensors(path));
  const auto found = file.tensors.find(kImages);
  if (found == file.tensors.end() || found->second.type != type || found->second.shape != shape)
    return corrupt("{}: no cache of {} {}", path.string(), host_type_name(type), shape.to_string());
  return std::move(found->second);
}

Result<std::vector<WholeImage>> mapped_sizes(const Path& path, const PictureList& list) {
  const auto count = static_cast<int64_t>(list.entries.size());
  ITO_ASSIGN(const HostTensor tensor, mapped_images(path, HostType::kI32, {count, 2}));
  std::vector<WholeImage> whole;
  int64_t begin = 0;
  ITO_ASSIGN(const std::vector<int64_t> sizes, to_int64(tensor, path.string()));
  for (size_t i = 0; i < sizes.size(); i += 2) {
    constexpr int64_t kMostSide = 1 << 28;
    if (sizes[i] < 1 || sizes[i] > kMostSide || sizes[i + 1] < 1 || sizes[i + 1] > kMostSide)
      return corrupt("{}: image {} of {}x{}", path.string(), i / 2, sizes[i + 1], sizes[i]);
    whole.push_back({static_cast<int>(sizes[i]), static_cast<int>(sizes[i + 1]), begin});
    begin += sizes[i] * sizes[i + 1];
  }
  return whole;
}

Status check_facts(Json facts, const Path& path) {
  const bool has = facts.is_object() && facts.contains(kChecksums) &&
                   facts[kChecksums].is_object() && facts[kChecksums].contains(kOfFacts);
  const Json checksum = has ? facts[kChecksums][kOfFacts] : Json();
  if (has) facts[kChecksums].erase(kOfFacts);
  if (has && checksum == crc32_of(dump_json_line(facts))) return {};
  return corrupt("{}: its checksum is not what it says", path.string());
}

// What is there of a list. Errors: kNotFound where nothing is; kCorrupt for what is not as it was
// written.
Result<CachedPictures> open_cache(const PictureList& list, const DatasetOptions& options,
                                  const Files& files) {
  CachedPictures cached;
  ITO_ASSIGN(const Json json, read_json(files.facts));
  ITO_TRY(check_facts(json, files.facts));
  ITO_ASSIGN(cached.seen, seen_from_json(json, files.facts.string()));
  const PicturesSeen& seen = cached.seen;
  for (const Path& path : files.of_pixels(options, seen)) {
    const Json::json_pointer at = Json::json_pointer() / kChecksums / path.filename().string();
    ITO_ASSIGN(const uint32_t checksum, checksum_of(path));
    if (!json.contains(at) || json[at] != checksum)
      return corrupt("{}: its checksum is not that of {}", path.string(),
                     files.facts.filename().string());
  }
  if (stay_whole(options)) {
    ITO_ASSIGN(cached.whole, mapped_sizes(files.sizes, list));
  }
  const Shape shape = shape_of(list, seen, cached.whole);
  auto store = std::make_shared<PixelStore>();
  store->hash = seen.hash;
  ITO_ASSIGN(store->bytes, mapped_images(files.bytes, HostType::kU8, shape));
  if (seen.deep) {
    ITO_ASSIGN(store->floats, mapped_images(files.floats, HostType::kF32, shape));
  }
  cached.store = std::move(store);
  return cached;
}

}  // namespace

Result<CachedPictures> cached_pictures(const PictureList& list, const DatasetOptions& options) {
  const Path folder = options.reading.cache;
  ITO_TRY(make_folders(folder));
  const std::string name = "images-" + key_of(list, options);
  const Files files{.bytes = folder / (name + ".safetensors"),
                    .floats = folder / (name + "-deep.safetensors"),
                    .sizes = folder / (name + "-sizes.safetensors"),
                    .facts = folder / (name + ".json")};
  auto there = open_cache(list, options, files);
  if (there.ok()) return there;
  const bool damaged = file_exists(files.facts);
  ITO_TRY(make_cache(list, options, files));
  ITO_ASSIGN(CachedPictures cached, open_cache(list, options, files));
  if (damaged)
    cached.notes.push_back(
        fmt::format("the cache was damaged and has been made anew ({})", there.error().message));
  return cached;
}

}  // namespace ito
