#include "io/datasets/picture_list.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <set>

#include "base/error.h"
#include "io/file_kind.h"

namespace ito {
namespace {

constexpr int kFoldersDeep = 16;
constexpr int64_t kMostNumbered = 1'000'000;

// Pictures for other programs, by ending; they are named where they are left out.
constexpr std::array<std::string_view, 34> kUnreadable = {
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "jxr", "psd", "xcf",  "svg", "tga", "ico",
    "ppm",  "pgm",  "pbm",  "pnm", "pam", "exr", "hdr", "dng", "cr2",  "cr3", "nef", "arw",
    "orf",  "raw",  "pcx",  "dds", "ktx", "mp4", "mov", "avi", "webm", "eps"};

std::string ending_of(const std::string& name) {
  std::string ending = Path(name).extension().string();
  if (!ending.empty()) ending.erase(0, 1);
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending;
}

bool is_unreadable(const std::string& ending) {
  return std::find(kUnreadable.begin(), kUnreadable.end(), ending) != kUnreadable.end();
}

bool is_picture(const Path& path) {
  const std::string ending = ending_of(path.filename().string());
  if (!ending.empty()) return picture_format_of_ending(ending) != nullptr;
  const auto head = read_head(path, 64);
  return head.ok() && picture_format(*head) != nullptr;
}

struct Found {
  Path path;
  std::string relative;  // with '/'
};

struct Walk {
  std::vector<Found> pictures;
  std::map<std::string, int64_t> left_out;
  std::vector<std::string>
      pictureless;  // folders of the first level that may be classes all the same
};

// Whether anything below a folder is a picture that cannot be read; true of an empty one.
bool may_be_class(const Path& folder) {
  const std::vector<std::string> names = visible_names(folder);
  if (names.empty()) return true;
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return is_unreadable(ending_of(name)); });
}

Status walk(const Path& folder, const std::string& relative, int depth, Walk& out) {
  if (depth > kFoldersDeep)
    return corrupt("{}: folders in folders, more than {} deep", folder.string(), kFoldersDeep);
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names) {
    if (is_hidden(name)) continue;
    const Path path = folder / name;
    std::string below = relative;
    if (!below.empty()) below += '/';
    below += name;
    if (folder_exists(path)) {
      const size_t before = out.pictures.size();
      ITO_TRY(walk(path, below, depth + 1, out));
      if (depth == 0 && out.pictures.size() == before && may_be_class(path))
        out.pictureless.push_back(name);
      continue;
    }
    const std::string ending = ending_of(name);
    const bool tells = depth == 0 && (name == "metadata.csv" || name == "metadata.jsonl" ||
                                      name == "dataset.json");
    if (tells) continue;
    if (is_picture(path)) {
      out.pictures.push_back({path, below});
    } else {
      ++out.left_out[is_unreadable(ending) ? ending + ", which is not read" : "no picture"];
    }
  }
  return {};
}

std::string first_folder(const std::string& relative) {
  const size_t slash = relative.find('/');
  return slash == std::string::npos ? std::string() : relative.substr(0, slash);
}

std::optional<int64_t> integer(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value >= 0 ? std::optional(value) : std::nullopt;
}

// Names in order; where all are numbers, the numbers themselves are the labels.
std::vector<std::string> class_list(const std::set<std::string>& names, bool numbered) {
  int64_t most = -1;
  for (const std::string& name : names) {
    const auto value = integer(name);
    if (!value || *value >= kMostNumbered || !numbered) return {names.begin(), names.end()};
    most = std::max(most, *value);
  }
  std::vector<std::string> list;
  for (int64_t k = 0; k <= most; ++k) list.push_back(std::to_string(k));
  return list;
}

// Gives the entries labels by the classes' names.
Status label(PictureList& list, const std::vector<std::string>& names, bool numbered,
             const std::set<std::string>& more, const PictureList* of_training) {
  std::set<std::string> found(names.begin(), names.end());
  list.labelled = true;
  if (of_training != nullptr) {
    list.classes = of_training->classes;
    std::vector<std::string> unknown;
    for (const std::string& name : found)
      if (std::find(list.classes.begin(), list.classes.end(), name) == list.classes.end())
        unknown.push_back(name);
    if (!unknown.empty())
      return invalid_argument(
          "{}: {} {} of the training images, which have {}", list.folder.string(), listed(unknown),
          unknown.size() == 1 ? "is no class" : "are no classes", listed(list.classes));
  } else {
    found.insert(more.begin(), more.end());
    list.classes = class_list(found, numbered);
  }
  std::map<std::string, int32_t> index;
  for (size_t k = 0; k < list.classes.size(); ++k) index[list.classes[k]] = static_cast<int32_t>(k);
  for (size_t i = 0; i < names.size(); ++i) list.entries[i].label = index.at(names[i]);
  return {};
}

Status label_by_metadata(PictureList& list, const PictureMetadata& metadata, const Walk& found,
                         const PictureList* of_training) {
  std::map<std::string, const Found*> files;
  for (const Found& file : found.pictures) files[file.relative] = &file;
  std::vector<std::string> names;
  int64_t unlabelled = 0;
  for (const auto& [file, name] : metadata.labels) {
    const auto it = files.find(file.starts_with("./") ? file.substr(2) : file);
    if (it == files.end()) return corrupt("{}: {} is not there", metadata.path.string(), file);
    if (name.empty()) {
      ++unlabelled;
      continue;
    }
    list.entries.push_back({it->second->path, 0});
    names.push_back(name);
  }
  const auto unnamed =
      static_cast<int64_t>(found.pictures.size()) - static_cast<int64_t>(metadata.labels.size());
  if (unnamed > 0) list.left_out["not in " + metadata.path.filename().string()] = unnamed;
  if (unlabelled > 0)
    list.left_out["no label in " + metadata.path.filename().string()] = unlabelled;
  return label(list, names, true, {}, of_training);
}

void take_all(PictureList& list, const Walk& found) {
  for (const Found& file : found.pictures) list.entries.push_back({file.path, 0});
}

Status label_by_folders(PictureList& list, const Walk& found, const PictureList* of_training) {
  std::vector<std::string> names;
  int64_t stray = 0;
  for (const Found& file : found.pictures) {
    const std::string name = first_folder(file.relative);
    if (name.empty()) {
      ++stray;
      continue;
    }
    list.entries.push_back({file.path, 0});
    names.push_back(name);
  }
  if (stray > 0) {
    list.left_out["beside the folders of classes"] = stray;
    list.notes.push_back(fmt::format(
        "{} picture{} beside the folders that are the classes {} left out; --labels none "
        "takes all, without classes",
        stray, stray == 1 ? "" : "s", stray == 1 ? "is" : "are"));
  }
  return label(list, names, false, {found.pictureless.begin(), found.pictureless.end()},
               of_training);
}

Status label_by_prefix(PictureList& list, const Walk& found, const PictureList* of_training) {
  std::vector<std::string> names;
  for (const Found& file : found.pictures) {
    const std::string name = file.path.filename().string();
    const size_t end = name.find('_');
    if (end == std::string::npos || end == 0)
      return invalid_argument(
          "{}: --labels prefix wants the class before an underscore in every name",
          file.path.string());
    list.entries.push_back({file.path, 0});
    names.push_back(name.substr(0, end));
  }
  return label(list, names, false, {}, of_training);
}

}  // namespace

bool has_pictures(const Path& folder) {
  // Enough to tell: one picture, in this folder or a few below.
  const auto look = [](const auto& self, const Path& at, int depth) -> bool {
    std::vector<Path> inner;
    for (const std::string& name : visible_names(at)) {
      const Path path = at / name;
      if (folder_exists(path)) {
        inner.push_back(path);
      } else if (is_picture(path)) {
        return true;
      }
    }
    if (depth == 0) return false;
    return std::any_of(inner.begin(), inner.end(),
                       [&](const Path& path) { return self(self, path, depth - 1); });
  };
  return look(look, folder, 6);
}

Result<PictureList> list_pictures(const Path& folder, LabelSource source,
                                  const PictureList* of_training) {
  PictureList list;
  list.folder = folder;
  Walk found;
  ITO_TRY(walk(folder, "", 0, found));
  list.left_out = found.left_out;
  if (found.pictures.empty()) {
    std::string others;
    for (const auto& [why, files] : found.left_out)
      others += fmt::format("; {} files: {}", files, why);
    return not_found(
        "{}: no pictures (PNG, JPEG, WebP, TIFF, GIF, BMP), IDX files, CIFAR batches or arrays in "
        "it{}",
        folder.string(), others);
  }
  // Test images are labelled as the training images are.
  if (of_training != nullptr && !of_training->labelled) source = LabelSource::kNone;
  if (source == LabelSource::kAuto || source == LabelSource::kMetadata) {
    ITO_ASSIGN(const std::optional<PictureMetadata> metadata, read_metadata(folder));
    if (metadata && metadata->has_labels) {
      ITO_TRY(label_by_metadata(list, *metadata, found, of_training));
      return list;
    }
    if (source == LabelSource::kMetadata)
      return invalid_argument(
          "{}: --labels metadata wants metadata.csv or metadata.jsonl with columns "
          "file_name and label",
          folder.string());
    if (metadata)
      list.notes.push_back(metadata->path.string() +
                           " has no column label, so it names no classes");
  }
  switch (source) {
    case LabelSource::kPrefix:
      ITO_TRY(label_by_prefix(list, found, of_training));
      return list;
    case LabelSource::kNone:
      take_all(list, found);
      return list;
    case LabelSource::kFolders:
      ITO_TRY(label_by_folders(list, found, of_training));
      return list;
    case LabelSource::kAuto:
    case LabelSource::kMetadata:
      break;
  }
  std::set<std::string> folders;
  bool stray = false;
  for (const Found& file : found.pictures) {
    const std::string name = first_folder(file.relative);
    stray = stray || name.empty();
    if (!name.empty()) folders.insert(name);
  }
  if (folders.empty()) {
    take_all(list, found);
    if (of_training == nullptr) label_samples(list);
    return list;
  }
  // One folder that holds everything is no class but where the pictures are.
  if (of_training == nullptr && folders.size() == 1 && !stray && found.pictureless.empty()) {
    ITO_ASSIGN(PictureList inner, list_pictures(folder / *folders.begin(), source, nullptr));
    for (const auto& [why, files] : found.left_out)
      inner.left_out[why] = std::max(inner.left_out[why], files);
    return inner;
  }
  ITO_TRY(label_by_folders(list, found, of_training));
  return list;
}

}  // namespace ito
