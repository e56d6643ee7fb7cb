// Folders of pictures: which parts there are (train, test, val), and the decoding.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "io/datasets/picture_cache.h"

namespace ito {
namespace {

// The sub-folder with pictures that is called one of `names`, the earlier the better.
Path part_called(const Path& folder, std::initializer_list<std::string_view> names) {
  const std::vector<std::string> inside = visible_names(folder);
  for (const std::string_view wanted : names)
    for (const std::string& name : inside) {
      std::string lower = name;
      for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (lower == wanted && folder_exists(folder / name) && has_pictures(folder / name))
        return folder / name;
    }
  return {};
}

// Into memory, picture by picture.
Status decode_into(ImageDataset& data, const PictureList& list, const DatasetOptions& options,
                   int64_t* transparent) {
  return decode_all(list, options, [&](int64_t i, DecodedPicture decoded) -> Status {
    if (data.count > 0) ITO_TRY(check_same_size(list, i, decoded.picture, data.h, data.w));
    if (data.pixels.size() > kMaxDatasetBytes)
      return unsupported(
          "{}: more than {} GB of pixels; --cache FOLDER keeps them in a file, --resize N makes "
          "them smaller",
          list.folder.string(), kMaxDatasetBytes >> 30);
    append_picture(data, decoded.picture);
    *transparent += decoded.transparent ? 1 : 0;
    return {};
  });
}

Result<ImageDataset> decode(const PictureList& list, const DatasetOptions& options) {
  ImageDataset data;
  data.names = list.classes;
  int64_t transparent = 0;
  if (options.reading.cache.empty()) {
    ITO_TRY(decode_into(data, list, options, &transparent));
  } else {
    ITO_ASSIGN(CachedPictures cached, cached_pictures(list, options));
    data.count = static_cast<int64_t>(list.entries.size());
    data.h = cached.seen.h;
    data.w = cached.seen.w;
    data.c = cached.seen.c;
    data.facts.least = cached.seen.least;
    data.facts.most = cached.seen.most;
    data.store = std::move(cached.store);
    transparent = cached.seen.transparent;
  }
  if (list.labelled) {
    data.labels.emplace();
    for (const PictureList::Entry& entry : list.entries) data.labels->push_back(entry.label);
  }
  data.facts.format = "pictures";
  data.facts.from = list.folder;
  for (const auto& [why, files] : list.left_out) data.facts.left_out.push_back({why, files});
  data.facts.notes = list.notes;
  if (transparent > 0)
    data.facts.notes.push_back(fmt::format(
        "{} picture{} transparent and {} on #{:02x}{:02x}{:02x}; --background says on what else",
        transparent, transparent == 1 ? " is" : "s are", transparent == 1 ? "lies" : "lie",
        options.background.rgb[0], options.background.rgb[1], options.background.rgb[2]));
  return data;
}

}  // namespace

Result<ImageDataset> read_image_folder(const Path& folder, const DatasetOptions& options) {
  ITO_ASSIGN(const PictureList list, list_pictures(folder, options.labels));
  ITO_ASSIGN(ImageDataset data, decode(list, options));
  data.facts.part = "all";
  return data;
}

Result<ImageDataset> read_picture_folder(const Path& folder, Split split,
                                         const DatasetOptions& options) {
  const Path training = part_called(folder, {"train", "training"});
  const Path test = part_called(folder, {"test", "testing"});
  const Path validation = part_called(folder, {"val", "valid", "validation", "dev"});
  std::vector<Path> others;
  for (const std::string& name : visible_names(folder)) {
    const Path inner = folder / name;
    if (inner != training && inner != test && inner != validation && folder_exists(inner) &&
        has_pictures(inner))
      others.push_back(inner);
  }
  // Among other folders, without a test part, "train" is a class of vehicles.
  const bool parted = !training.empty() && (!test.empty() || !validation.empty() || others.empty());
  if (!parted) {
    // A folder around the parts: archives are often packed so.
    const std::vector<std::string> inside = visible_names(folder);
    if (inside.size() == 1 && folder_exists(folder / inside[0]) &&
        !part_called(folder / inside[0], {"train", "training"}).empty())
      return read_picture_folder(folder / inside[0], split, options);
    return read_image_folder(folder, options);
  }
  ITO_ASSIGN(const PictureList train, list_pictures(training, options.labels));
  if (split == Split::kTrain) {
    ITO_ASSIGN(ImageDataset data, decode(train, options));
    data.facts.part = "train";
    for (const Path& inner : others)
      data.facts.notes.push_back(fmt::format("the pictures in {} are left out: they are beside {}",
                                             inner.string(), training.filename().string()));
    return data;
  }
  const Path& chosen = test.empty() ? validation : test;
  if (chosen.empty())
    return not_found("{}: there is no folder test, val, valid or validation beside {}",
                     folder.string(), training.filename().string());
  ITO_ASSIGN(const PictureList list, list_pictures(chosen, options.labels, &train));
  ITO_ASSIGN(ImageDataset data, decode(list, options));
  data.facts.part = test.empty() ? "val" : "test";
  if (!test.empty() && !validation.empty())
    data.facts.notes.push_back(fmt::format("the pictures in {} are left out: {} is the test part",
                                           validation.string(), test.filename().string()));
  return data;
}

}  // namespace ito
