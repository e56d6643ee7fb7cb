#include "io/datasets/picture_list.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/name_list.h"
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

struct Found {
  Path path;
  std::string relative;  // with '/'
};

constexpr size_t kNamedOthers = 3;

struct Walk {
  std::vector<Found> pictures;
  std::vector<Path> others;  // the first of the files that are no pictures
  std::map<std::string, int64_t> left_out;
  std::vector<std::string>
      pictureless;  // folders of the first level that may be classes all the same
  std::vector<std::string> passed_over;  // and those that are none: no picture is in them
};

// What a file without an ending is, if it is a picture for other programs.
std::string unreadable_kind(const Path& path) {
  if (path.has_extension()) return {};
  const auto kind = kind_of_file(path);
  return kind.ok() && is_picture(*kind) ? std::string(kind_name(*kind)) : std::string();
}

// Whether anything in a folder is a picture that cannot be read; true of an empty one, and of one
// with nothing but empty folders.
bool may_be_class(const Path& folder) {
  const std::vector<std::string> names = visible_names(folder);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) {
                       return is_unreadable(ending_of(name)) ||
                              !unreadable_kind(folder / name).empty();
                     }) ||
         std::all_of(names.begin(), names.end(), [&](const std::string& name) {
           return folder_exists(folder / name) && may_be_class(folder / name);
         });
}

// Error kCorrupt: a link to a folder that it lies in.
Status check_no_loop(const Path& folder) {
  std::error_code error;
  if (!std::filesystem::is_symlink(folder, error)) return {};
  const Path to = std::filesystem::weakly_canonical(folder, error);
  const Path from = std::filesystem::weakly_canonical(folder.parent_path(), error);
  const Path relative = from.lexically_relative(to);
  if (error || relative.empty() || *relative.begin() == "..") return {};
  return corrupt("{} is a link to {}, a folder that it lies in; remove the link", folder.string(),
                 to.string());
}

Status walk(const Path& folder, const std::string& relative, int depth, Walk& out) {
  if (depth > kFoldersDeep)
    return corrupt("{}: folders in folders, more than {} deep", folder.string(), kFoldersDeep);
  if (depth > 0) ITO_TRY(check_no_loop(folder));
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
      if (depth == 0 && out.pictures.size() == before)
        (may_be_class(path) ? out.pictureless : out.passed_over).push_back(name);
      continue;
    }
    const std::string ending = ending_of(name);
    const bool tells = depth == 0 && (name == "metadata.csv" || name == "metadata.jsonl" ||
                                      name == "dataset.json");
    if (tells) continue;
    if (is_picture_file(path)) {
      out.pictures.push_back({path, below});
    } else {
      if (out.others.size() < kNamedOthers) out.others.push_back(path);
      const bool table = depth == 0 && (ending == "csv" || ending == "tsv" || ending == "jsonl");
      const std::string kind = unreadable_kind(path);
      ++out.left_out[is_unreadable(ending) ? ending + ", which is not read"
                     : !kind.empty()       ? kind + ", which is not read"
                     : table               ? "a table that is not called metadata.csv"
                                           : "no picture"];
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

Status label_by_metadata(PictureList& list, const PictureMetadata& metadata, const Walk& found,
                         LabelSource source, const PictureList* of_training) {
  std::map<std::string, const Found*> files;
  for (const Found& file : found.pictures) files[file.relative] = &file;
  std::vector<std::string> names;
  int64_t unlabelled = 0;
  for (const auto& [file, name] : metadata.labels) {
    auto it = files.find(file.starts_with("./") ? file.substr(2) : file);
    if (it == files.end()) {  // as Windows writes it
      std::string slashes = file;
      std::replace(slashes.begin(), slashes.end(), '\\', '/');
      it = files.find(slashes.starts_with("./") ? slashes.substr(2) : slashes);
    }
    if (it == files.end()) return corrupt("{}: {} is not there", metadata.path.string(), file);
    if (name.empty()) {
      ++unlabelled;
      continue;
    }
    list.entries.push_back({it->second->path, 0});
    names.push_back(name);
  }
  if (names.empty())
    return invalid_argument("{}: names no picture with its label", metadata.path.string());
  std::set<std::string> folders;
  for (const Found& file : found.pictures) folders.insert(first_folder(file.relative));
  if (folders.size() > 1 && source == LabelSource::kAuto)
    list.notes.push_back(fmt::format("classes are those of {}; --labels folders takes the folders",
                                     metadata.path.filename().string()));
  const auto unnamed =
      static_cast<int64_t>(found.pictures.size()) - static_cast<int64_t>(metadata.labels.size());
  if (unnamed > 0) list.left_out["not in " + metadata.path.filename().string()] = unnamed;
  if (unlabelled > 0)
    list.left_out["no label in " + metadata.path.filename().string()] = unlabelled;
  return label_by_names(list, names, true, {}, of_training);
}

// Where all labels are numbers such as 1 and 1.0, which tables make of them, the whole numbers.
std::vector<std::string> without_fractions(std::vector<std::string> names) {
  std::vector<std::string> whole;
  for (const std::string& name : names) {
    const size_t end = name.ends_with(".0") ? name.size() - 2 : name.size();
    whole.push_back(name.substr(0, end));
    if (!integer(whole.back())) return names;
  }
  return whole;
}

// What the table in `root` says of the pictures in its folder `part`; nothing where that is
// nothing.
Result<std::optional<PictureMetadata>> metadata_of_part(const Path& root, const std::string& part) {
  ITO_ASSIGN(std::optional<PictureMetadata> all, read_metadata(root));
  if (!all) return all;
  std::map<std::string, std::string> labels;
  for (const auto& [file, label] : all->labels) {
    const std::string name = file.starts_with("./") ? file.substr(2) : file;
    if (name.starts_with(part + "/")) labels.emplace(name.substr(part.size() + 1), label);
  }
  if (labels.empty()) return std::optional<PictureMetadata>();
  all->labels = std::move(labels);
  return all;
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
  if (names.empty())
    return invalid_argument("{}: the pictures lie in no folders that could be classes",
                            list.folder.string());
  note_odd_classes(list, names);
  if (stray > 0) {
    list.left_out["beside the folders of classes"] = stray;
    list.notes.push_back(fmt::format(
        "{} picture{} beside the folders that are the classes {} left out; --labels none "
        "takes all, without classes",
        stray, stray == 1 ? "" : "s", stray == 1 ? "is" : "are"));
  }
  if (!found.passed_over.empty())
    list.notes.push_back(fmt::format("no pictures are in {}, so {} no class",
                                     joined(found.passed_over),
                                     found.passed_over.size() == 1 ? "it is" : "they are"));
  return label_by_names(list, names, false, {found.pictureless.begin(), found.pictureless.end()},
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
  return label_by_names(list, names, false, {}, of_training);
}

// Folders of this name are parts of other tasks' data more often than classes.
constexpr std::array<std::string_view, 10> kOddClasses = {
    "images", "imgs",  "masks",       "mask",          "labels",
    "gt",     "depth", "annotations", "segmentations", "targets"};

}  // namespace

void note_odd_classes(PictureList& list, const std::vector<std::string>& names) {
  for (const std::string& name : std::set<std::string>(names.begin(), names.end()))
    if (std::find(kOddClasses.begin(), kOddClasses.end(), name) != kOddClasses.end())
      list.notes.push_back(fmt::format(
          "the folder {} is taken for a class; give the folder of the pictures itself, or --labels "
          "none",
          name));
}

bool is_picture_file(const Path& path) {
  const std::string ending = ending_of(path.filename().string());
  if (!ending.empty()) return picture_format_of_ending(ending) != nullptr;
  const auto head = read_head(path, 64);
  return head.ok() && picture_format(*head) != nullptr;
}

std::vector<std::string> class_list(const std::set<std::string>& names, bool numbered) {
  int64_t most = -1;
  for (const std::string& name : names) {
    const auto value = integer(name);
    // "00" is a name: no number is written so.
    if (!value || *value >= kMostNumbered || std::to_string(*value) != name || !numbered)
      return {names.begin(), names.end()};
    most = std::max(most, *value);
  }
  std::vector<std::string> list;
  for (int64_t k = 0; k <= most; ++k) list.push_back(std::to_string(k));
  return list;
}

Status label_by_names(PictureList& list, const std::vector<std::string>& given, bool numbered,
                      const std::set<std::string>& more, const PictureList* of_training) {
  const std::vector<std::string> names = numbered ? without_fractions(given) : given;
  for (size_t i = 0; numbered && i < names.size(); ++i)
    if (names[i].starts_with("-") && integer(names[i].substr(1)))
      return invalid_argument(
          "{}: has the label {}; labels are names or numbers from 0 on, and empty for a picture of "
          "no class",
          list.entries[i].name(), names[i]);
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

bool wants_classes(LabelSource source) { return source != LabelSource::kNone; }

bool insists(LabelSource source) {
  return source != LabelSource::kNone && source != LabelSource::kAuto;
}

bool insists_on_folders(LabelSource source) { return source == LabelSource::kFolders; }

bool has_pictures(const Path& folder) {
  // Enough to tell: one picture, in this folder or a few below.
  const auto look = [](const auto& self, const Path& at, int depth) -> bool {
    std::vector<Path> inner;
    for (const std::string& name : visible_names(at)) {
      const Path path = at / name;
      if (folder_exists(path)) {
        inner.push_back(path);
      } else if (is_picture_file(path)) {
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
                                  const PictureList* of_training, const Path& root) {
  PictureList list;
  list.folder = folder;
  Walk found;
  ITO_TRY(walk(folder, "", 0, found));
  list.left_out = found.left_out;
  if (found.pictures.empty()) {
    std::string others;
    for (const auto& [why, files] : found.left_out)
      others += fmt::format("; {} file{}: {}", files, files == 1 ? "" : "s", why);
    for (const Path& path : found.others) {
      const auto kind = kind_of_file(path);
      if (!kind.ok() || kind_name(*kind).empty()) continue;
      others += fmt::format("; {} is {}{}", path.filename().string(), kind_name(*kind),
                            is_archive(*kind) ? ", unpack it first" : "");
    }
    return not_found(
        "{}: no pictures (PNG, JPEG, WebP, TIFF, GIF, BMP), IDX files, CIFAR batches or arrays in "
        "it{}",
        folder.string(), others);
  }
  // Test images are labelled as the training images are.
  if (of_training != nullptr && !of_training->labelled) source = LabelSource::kNone;
  if (source == LabelSource::kAuto || source == LabelSource::kMetadata) {
    ITO_ASSIGN(std::optional<PictureMetadata> metadata, read_metadata(folder));
    if (!metadata && !root.empty()) {
      ITO_ASSIGN(metadata, metadata_of_part(root, folder.filename().string()));
    }
    if (metadata)
      list.notes.insert(list.notes.end(), metadata->notes.begin(), metadata->notes.end());
    if (metadata && metadata->has_labels) {
      ITO_TRY(label_by_metadata(list, *metadata, found, source, of_training));
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
