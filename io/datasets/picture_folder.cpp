// Folders of pictures: which parts there are (train, test, val), and the decoding.

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/platform.h"
#include "io/datasets/part_names.h"
#include "io/datasets/picture_cache.h"

namespace ito {
namespace {

constexpr int kWrappers = 3;

struct Parts {
  Path train, test, validation;
  bool any_test() const { return !test.empty() || !validation.empty(); }
};

// The sub-folders in which pictures lie.
std::vector<std::string> picture_folders(const Path& folder) {
  std::vector<std::string> names;
  for (const std::string& name : visible_names(folder))
    if (folder_exists(folder / name) && has_pictures(folder / name)) names.push_back(name);
  return names;
}

// The one of `names` that is called so, or is the only one with the word in its name; nothing if
// there are several.
Path part_among(const Path& folder, const std::vector<std::string>& names,
                std::span<const std::string_view> words, bool exactly) {
  for (const std::string_view word : words)
    for (const std::string& name : names)
      if (is_called(name, std::span(&word, 1))) return folder / name;
  std::vector<std::string> found;
  for (const std::string& name : names)
    if (!exactly && has_word(name, words)) found.push_back(name);
  return found.size() == 1 ? folder / found[0] : Path();
}

Parts parts_of(const Path& folder, const std::vector<std::string>& names) {
  Parts parts{part_among(folder, names, kTrainWords, true),
              part_among(folder, names, kTestWords, true),
              part_among(folder, names, kValidationWords, true)};
  if (!parts.train.empty()) return parts;
  // "train_set" and "test_set", but not "train_station" among other classes.
  const Parts loose{part_among(folder, names, kTrainWords, false),
                    part_among(folder, names, kTestWords, false),
                    part_among(folder, names, kValidationWords, false)};
  const size_t count = (loose.train.empty() ? 0u : 1u) + (loose.test.empty() ? 0u : 1u) +
                       (loose.validation.empty() ? 0u : 1u);
  return !loose.train.empty() && loose.any_test() && count == names.size() ? loose : parts;
}

bool has_own_pictures(const Path& folder) {
  const std::vector<std::string> names = visible_names(folder);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return !folder_exists(folder / name) && is_picture_file(folder / name);
  });
}

// Where the parts lie: in `folder`, or in the one folder with pictures in it, as archives are often
// packed. Error kInvalidArgument: pictures lie beside that.
Result<Path> folder_of_parts(const Path& folder) {
  Path at = folder;
  for (int depth = 0; depth <= kWrappers; ++depth) {
    const std::vector<std::string> names = picture_folders(at);
    const Parts parts = parts_of(at, names);
    if (!parts.train.empty() && (parts.any_test() || names.size() == 1)) {
      if (depth == 0) return at;
      for (Path above = folder;; above /= at.lexically_relative(above).begin()->string()) {
        if (above == at) return at;
        if (has_own_pictures(above))
          return invalid_argument(
              "{}: pictures lie beside {}, which has parts to train and test on; "
              "give that",
              above.string(), at.string());
      }
    }
    if (names.size() != 1) break;
    at /= names[0];
  }
  return folder;
}

// Folders train and test in the folders of classes.
Status check_not_parted_below(const Path& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const Parts inner = parts_of(folder / name, picture_folders(folder / name));
    if (!inner.train.empty() && inner.any_test())
      return invalid_argument(
          "{} has parts of its own, {} and {}; expected those around the classes, as train/{}",
          (folder / name).string(), inner.train.filename().string(),
          (inner.test.empty() ? inner.validation : inner.test).filename().string(), name);
  }
  return {};
}

constexpr uint64_t kGigabyte = uint64_t{1} << 30;

// Half of what the machine, or the container that this runs in, has.
uint64_t half_of_memory() {
  uint64_t all = platform::memory_bytes();
  for (const char* limit :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(limit);
    uint64_t bytes = 0;
    if (file >> bytes) all = std::min(all, bytes);  // "max" is no number
  }
  return all / 2;
}

// Into memory, picture by picture; stops and sets *too_many where they are more than `most` bytes.
Status decode_into(ImageDataset& data, const PictureList& list, const DatasetOptions& options,
                   uint64_t most, PicturesSeen* seen, bool* too_many) {
  const bool whole = stay_whole(options);
  if (whole) {
    data.h = options.height;
    data.w = options.width;
  }
  const Status status = decode_all(list, options, [&](int64_t i, DecodedPicture decoded) -> Status {
    if (data.count > 0) ITO_TRY(check_same_size(list, options, i, decoded.picture, data.h, data.w));
    append_picture(data, decoded.picture, whole);
    take_note(*seen, decoded);
    *too_many = data.pixels.size() + data.floats.size() * sizeof(float) > most;
    if (*too_many)
      return unsupported(
          "{}: the decoded pictures take more than {:.1f} GB; --cache FOLDER keeps them in a file, "
          "--memory GB allows more, --resize N makes them smaller",
          list.folder.string(), static_cast<double>(most) / static_cast<double>(kGigabyte));
    return {};
  });
  return status;
}

void take_extents(ImageDataset& data, const PictureList& list, const PicturesSeen& seen) {
  data.count = static_cast<int64_t>(list.entries.size());
  data.h = seen.h;
  data.w = seen.w;
  data.c = seen.c;
}

// The range of values as they are stored; where there are both depths, as of 16 bits, which is
// said.
void take_range(ImageDataset& data, const PicturesSeen& seen) {
  constexpr int kWordOfByte = 257;
  const SamplesSeen &bytes = seen.bytes, &words = seen.words;
  const bool both = bytes.pictures > 0 && words.pictures > 0;
  const int scale = both ? kWordOfByte : 1;
  const int least = bytes.least * scale, most = bytes.most * scale;
  data.facts.least = both ? std::min(least, words.least) : std::max(least, words.least);
  data.facts.most = std::max(most, words.most);
  if (both)
    data.facts.notes.push_back(
        fmt::format("{} of the pictures are of 8 bits, {} of 16; the values are told as of 16 bits",
                    bytes.pictures, words.pictures));
  if (words.pictures > 0 && words.most > 0 && words.most < kHalfOfWords)
    data.facts.notes.push_back(fmt::format(
        "no value of the pictures of 16 bits is above {}, and 65535 is taken for white; those of "
        "fewer bits have to be scaled to that",
        words.most));
  const bool few_bits = bytes.least == 0 && bytes.most > 0 && bytes.most <= kMostOfFewBits;
  if (bytes.pictures > 0 && (bytes.most == 1 || few_bits))
    data.facts.notes.push_back(fmt::format(
        "no value of the pictures{} is above {}, and 255 is taken for white; {} have to be scaled "
        "to that",
        both ? " of 8 bits" : "", bytes.most,
        bytes.most == 1 ? "masks of 0 and 1" : "those of fewer bits"));
}

void note_what_is_drawn(ImageDataset& data, const PicturesSeen& seen,
                        const Background& background) {
  const auto are = [](int64_t n, const char* one, const char* several) {
    return fmt::format("{} picture{}", n, n == 1 ? one : several);
  };
  if (seen.transparent > 0)
    data.facts.notes.push_back(
        fmt::format("{} on #{:02x}{:02x}{:02x}; --background says on what else",
                    are(seen.transparent, " is transparent and lies", "s are transparent and lie"),
                    background.rgb[0], background.rgb[1], background.rgb[2]));
  if (seen.first_of_several > 0)
    data.facts.notes.push_back(
        are(seen.first_of_several, " has", "s have") +
        " further pages or frames, which are left out: the first of a file is its picture");
}

// What lies in files and is decoded whenever it is drawn.
Result<ImageDataset> left_in_files(const PictureList& list, const DatasetOptions& options,
                                   PicturesSeen* seen_in_all) {
  ITO_ASSIGN(const PictureSurvey survey, survey_pictures(list, options));
  ImageDataset data;
  take_extents(data, list, survey.seen);
  *seen_in_all = survey.seen;
  DatasetOptions silent = options;
  silent.reading.progress = nullptr;
  const auto decode = [list, silent, seen = survey.seen](int64_t i) -> Result<Picture> {
    ITO_ASSIGN(const DecodedPicture decoded, decode_picture(list, silent, i));
    const Picture& picture = decoded.picture;
    ITO_TRY(check_same_size(list, silent, i, picture, seen.h, seen.w));
    if (picture.c > seen.c)
      return corrupt("{}: has colour, as it had not when the training began",
                     list.entries[static_cast<size_t>(i)].name());
    return with_channels(picture, seen.c);
  };
  data.files = std::make_shared<const PictureFiles>(
      PictureFiles{.hash = survey.seen.hash, .decode = decode});
  data.facts.notes.push_back(
      "the decoded pictures are more than --memory allows, so they are decoded anew whenever they "
      "are drawn; --cache FOLDER decodes them once");
  return data;
}

// The part to test on, or else to validate on, beside a training part.
Result<ImageDataset> read_tested_part(const Path& test, const Path& validation,
                                      const PictureList& train, const Path& root,
                                      const DatasetOptions& options) {
  const auto list_of = [&](const Path& part) {
    return list_pictures(part, {.source = options.labels, .of_training = &train, .root = root});
  };
  bool validates = test.empty();
  ITO_ASSIGN(PictureList list, list_of(validates ? validation : test));
  // A test part without classes, as competitions have it, is worth less than one with them.
  if (!validates && !validation.empty() && train.labelled && !list.labelled) {
    ITO_ASSIGN(PictureList other, list_of(validation));
    validates = other.labelled;
    if (validates) list = std::move(other);
  }
  const Path& chosen = validates ? validation : test;
  const Path& left = validates ? test : validation;
  ITO_ASSIGN(ImageDataset data, dataset_of_pictures(list, options));
  data.facts.part = validates ? "val" : "test";
  if (!left.empty())
    data.facts.notes.push_back(
        fmt::format("the pictures in {} are left out: {} is the part to test on{}", left.string(),
                    chosen.filename().string(), validates ? ", as it has classes" : ""));
  if (train.labelled && !list.labelled && wants_classes(options.labels))
    data.facts.notes.push_back(fmt::format(
        "the pictures in {} have no classes, which those trained on have: they lie in no folders "
        "called so, and no metadata.csv names them",
        chosen.string()));
  return data;
}

}  // namespace

Result<ImageDataset> dataset_of_pictures(const PictureList& list, const DatasetOptions& options) {
  ImageDataset data;
  PicturesSeen seen;
  if (options.reading.cache.empty()) {
    const uint64_t most = options.reading.memory.value_or(half_of_memory());
    bool too_many = false;
    const Status status = decode_into(data, list, options, most, &seen, &too_many);
    if (too_many && options.reading.drawn) {
      ITO_ASSIGN(data, left_in_files(list, options, &seen));
    } else if (!status.ok()) {
      return status.error();
    }
  } else {
    ITO_ASSIGN(CachedPictures cached, cached_pictures(list, options));
    seen = cached.seen;
    take_extents(data, list, seen);
    data.store = std::move(cached.store);
    data.whole = std::move(cached.whole);
    data.facts.notes = std::move(cached.notes);
  }
  data.names = list.classes;
  if (list.labelled) {
    data.labels.emplace();
    for (const PictureList::Entry& entry : list.entries) data.labels->push_back(entry.label);
  }
  data.facts.format = kPictureFormat;
  data.facts.from = list.folder;
  for (const auto& [why, files] : list.left_out) data.facts.left_out.push_back({why, files});
  data.facts.notes.insert(data.facts.notes.begin(), list.notes.begin(), list.notes.end());
  take_range(data, seen);
  note_what_is_drawn(data, seen, options.background);
  return data;
}

namespace {

// Pictures in no folders of parts; a table beside them may tell parts.
Result<ImageDataset> read_in_one_folder(const Path& folder, Split split,
                                        const DatasetOptions& options) {
  ITO_ASSIGN(PictureList list, list_pictures(folder, {.source = options.labels}));
  if (split == Split::kTest && list.part != DataPart::kAll) {
    const PictureList train = std::move(list);
    const PicturesWanted tested = {
        .source = options.labels, .split = Split::kTest, .of_training = &train};
    ITO_ASSIGN(list, list_pictures(train.folder, tested));
  }
  ITO_ASSIGN(ImageDataset data, dataset_of_pictures(list, options));
  data.facts.part = name_of(list.part);
  return data;
}

}  // namespace

Result<ImageDataset> read_image_folder(const Path& folder, const DatasetOptions& options) {
  return read_in_one_folder(folder, Split::kTrain, options);
}

Result<ImageDataset> read_picture_folder(const Path& given, Split split,
                                         const DatasetOptions& options) {
  ITO_ASSIGN(const Path folder, folder_of_parts(given));
  const std::vector<std::string> names = picture_folders(folder);
  const auto [training, test, validation] = parts_of(folder, names);
  std::vector<Path> others;
  for (const std::string& name : names) {
    const Path inner = folder / name;
    if (inner != training && inner != test && inner != validation) others.push_back(inner);
  }
  // Among other folders, without a test part, "train" is a class of vehicles.
  const bool parted = !training.empty() && (!test.empty() || !validation.empty() || others.empty());
  if (!parted) {
    if (names.size() == 1 && is_called(names[0], kTestWords) && !has_own_pictures(folder))
      return not_found("{}: there are only test images in it; give {} itself to train on them",
                       folder.string(), (folder / names[0]).string());
    ITO_TRY(check_not_parted_below(folder, names));
    ITO_ASSIGN(ImageDataset data, read_in_one_folder(given, split, options));
    for (const std::string& name : names)
      if (has_word(name, kTestWords) && !may_be_part(name) && training.empty() && names.size() > 1)
        data.facts.notes.push_back(
            fmt::format("the folder {} is taken for a class, not for a test part", name));
    return data;
  }
  ITO_ASSIGN(const PictureList train,
             list_pictures(training, {.source = options.labels, .root = folder}));
  if (split == Split::kTrain) {
    ITO_ASSIGN(ImageDataset data, dataset_of_pictures(train, options));
    data.facts.part = "train";
    if (!is_called(training.filename().string(), kTrainWords))
      data.facts.notes.push_back(fmt::format(
          "the folders {} and {} are taken for parts, not classes", training.filename().string(),
          (test.empty() ? validation : test).filename().string()));
    for (const Path& inner : others)
      data.facts.notes.push_back(fmt::format("the pictures in {} are left out: they are beside {}",
                                             inner.string(), training.filename().string()));
    return data;
  }
  if (test.empty() && validation.empty())
    return not_found("{}: there is no folder test, val, valid or validation beside {}",
                     folder.string(), training.filename().string());
  return read_tested_part(test, validation, train, folder, options);
}

}  // namespace ito
