// Pictures in tar archives as WebDataset has them, `ito sample --form tar` too: files of one sample
// share their name up to the first dot; NAME.png (or another picture), NAME.cls with its class.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "io/datasets/picture_survey.h"
#include "io/tar.h"

namespace ito {
namespace {

bool is_tar_name(const std::string& name) { return Path(name).extension() == ".tar"; }

struct Sample {
  std::optional<PictureList::Entry> picture;
  std::optional<std::string> label;
};

std::string trimmed(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return std::string(text);
}

// Up to the first dot behind the last slash, and what stands behind it.
std::pair<std::string, std::string> stem_and_ending(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, ""};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

Status list_archive(const Path& path, LabelSource source, PictureList& list,
                    std::vector<std::string>& names, int64_t* unlabelled) {
  ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
  ITO_ASSIGN(const std::vector<TarEntry> entries, parse_tar(file.bytes(), path.string()));
  std::map<std::string, Sample> samples;
  for (const TarEntry& entry : entries) {
    const std::string base = Path(entry.name).filename().string();
    if (is_hidden(base)) continue;
    const auto [stem, ending] = stem_and_ending(entry.name);
    Sample& sample = samples[stem];
    if (ending == "cls" || ending == "cls.txt") {
      sample.label = trimmed(entry.content);
    } else if (ending == "json") {
      continue;  // what is said of it
    } else if (picture_format_of_ending(ending.substr(ending.rfind('.') + 1)) == nullptr) {
      ++list.left_out["no picture"];
    } else if (sample.picture) {
      return invalid_argument("{}: {} and {} are two pictures of one sample; expected one",
                              path.string(), sample.picture->inside, entry.name);
    } else {
      const auto offset = static_cast<uint64_t>(entry.content.data() - file.bytes().data());
      sample.picture = {path, 0, entry.name, offset, entry.content.size()};
    }
  }
  for (auto& [stem, sample] : samples) {
    if (!sample.picture) continue;
    list.entries.push_back(std::move(*sample.picture));
    names.push_back(sample.label.value_or(""));
    *unlabelled += sample.label && wants_classes(source) ? 0 : 1;
  }
  return {};
}

}  // namespace

bool is_tar_folder(const Path& folder) {
  const std::vector<std::string> names = visible_names(folder);
  return std::any_of(names.begin(), names.end(), is_tar_name) && !has_pictures(folder);
}

Result<ImageDataset> read_picture_tars(const Path& path, const DatasetOptions& options) {
  std::vector<Path> archives;
  if (folder_exists(path)) {
    for (const std::string& name : visible_names(path))
      if (is_tar_name(name)) archives.push_back(path / name);
  } else {
    archives.push_back(path);
  }
  PictureList list;
  list.folder = path;
  std::vector<std::string> names;
  int64_t unlabelled = 0;
  for (const Path& archive : archives)
    ITO_TRY(list_archive(archive, options.labels, list, names, &unlabelled));
  if (list.entries.empty()) return not_found("{}: no pictures in it", path.string());
  if (unlabelled == 0) {
    ITO_TRY(label_by_names(list, names, true));
  } else if (unlabelled < static_cast<int64_t>(names.size())) {
    return corrupt(
        "{}: {} of {} pictures have no class (NAME.cls); --labels none takes all, "
        "without classes",
        path.string(), unlabelled, names.size());
  } else if (insists(options.labels)) {
    return invalid_argument(
        "{}: pictures in archives have their classes from files NAME.cls, and "
        "there are none",
        path.string());
  }
  ITO_ASSIGN(ImageDataset data, dataset_of_pictures(list, options));
  data.facts.format = archives.size() == 1 ? "a tar archive" : "tar archives";
  data.facts.part = "all";
  return data;
}

Result<ImageDataset> read_tar_folder(const Path& folder, Split, const DatasetOptions& options) {
  return read_picture_tars(folder, options);
}

}  // namespace ito
