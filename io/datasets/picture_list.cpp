#include "io/datasets/picture_list.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/name_list.h"
#include "io/datasets/picture_table.h"
#include "io/file_kind.h"

namespace ito {
namespace {

constexpr int64_t kMostNumbered = 1'000'000;
constexpr size_t kNamedOthers = 3;

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

// What is not ASCII as "\xe9".
std::string escaped(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

void take_all(PictureList& list, const PictureWalk& found) {
  for (const FoundPicture& file : found.pictures) list.entries.push_back({file.path, 0});
}

Status label_by_folders(PictureList& list, const PictureWalk& found,
                        const PictureList* of_training) {
  std::vector<std::string> names;
  int64_t stray = 0;
  for (const FoundPicture& file : found.pictures) {
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

Status label_by_prefix(PictureList& list, const PictureWalk& found,
                       const PictureList* of_training) {
  std::vector<std::string> names;
  for (const FoundPicture& file : found.pictures) {
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

// Where there is none, what there is instead.
Error no_pictures(const Path& folder, const PictureWalk& found) {
  std::string others;
  for (const auto& [why, files] : found.left_out())
    others += fmt::format("; {} file{}: {}", files, files == 1 ? "" : "s", why);
  for (size_t i = 0; i < std::min(found.others.size(), kNamedOthers); ++i) {
    const Path path = folder / found.others[i].relative;
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

// Archives in the folder of pictures itself could be what was meant.
void note_archives(PictureList& list, const PictureWalk& found) {
  std::vector<std::string> archives;
  for (const PictureWalk::Other& other : found.others)
    if (other.relative.ends_with(".tar") || other.relative.ends_with(".npz"))
      archives.push_back(other.relative);
  if (!archives.empty())
    list.notes.push_back(
        fmt::format("only the pictures in {} are read; left out beside them: {}; give one of "
                    "these, or a folder "
                    "without pictures, to read archives",
                    list.folder.string(), listed(archives)));
}

}  // namespace

void note_odd_classes(PictureList& list, const std::vector<std::string>& names) {
  for (const std::string& name : std::set<std::string>(names.begin(), names.end()))
    if (std::find(kOddClasses.begin(), kOddClasses.end(), name) != kOddClasses.end())
      list.notes.push_back(fmt::format(
          "the folder {} is taken for a class; give the folder of the pictures itself, or --labels "
          "none",
          name));
    else if (may_be_part(name))
      list.notes.push_back(fmt::format(
          "the folder {} is taken for a class, not for a part of the data set; parts are folders "
          "train and test (or val) alone, and --labels none takes all, without classes",
          name));
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
  std::vector<std::string> names = given;
  names.insert(names.end(), more.begin(), more.end());
  if (numbered) names = without_fractions(names);
  std::set<std::string> found(names.begin(), names.end());
  for (const std::string& name : found)
    if (!is_utf8(name))
      return invalid_argument(
          "{}: the class {} has a name that is not UTF-8, maybe Latin-1; rename it (convmv -f "
          "latin1 -t utf8 does), or --labels none takes all, without classes",
          list.folder.string(), escaped(name));
  names.resize(given.size());
  for (size_t i = 0; numbered && i < names.size(); ++i)
    if (names[i].starts_with("-") && integer(names[i].substr(1)))
      return invalid_argument(
          "{}: has the label {}; labels are names or numbers from 0 on, and empty for a picture of "
          "no class",
          list.entries[i].name(), names[i]);
  list.labelled = true;
  if (of_training != nullptr) {
    list.classes = of_training->classes;
    std::vector<std::string> unknown;
    for (const std::string& name : std::set<std::string>(names.begin(), names.end()))
      if (std::find(list.classes.begin(), list.classes.end(), name) == list.classes.end())
        unknown.push_back(name);
    if (!unknown.empty())
      return invalid_argument(
          "{}: {} {} of the training images, which have {}", list.folder.string(), listed(unknown),
          unknown.size() == 1 ? "is no class" : "are no classes", listed(list.classes));
  } else {
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

Result<PictureList> list_pictures(const Path& folder, const PicturesWanted& wanted) {
  PictureList list;
  list.folder = folder;
  ITO_ASSIGN(PictureWalk found, walk_pictures(folder));
  list.left_out = found.left_out();
  if (found.pictures.empty()) return no_pictures(folder, found);
  note_archives(list, found);
  // Test images are labelled as the training images are.
  const PictureList* of_training = wanted.of_training;
  const bool without = of_training != nullptr && !of_training->labelled;
  const LabelSource source = without ? LabelSource::kNone : wanted.source;
  const bool by_table = source == LabelSource::kAuto || source == LabelSource::kMetadata;
  auto read = table_of_pictures(folder, wanted.root, found);
  if (by_table && !read.ok()) return read.error();
  // Where classes come from elsewhere, a table may be anything; where it tells parts, they are so.
  std::optional<PictureTable> table;
  if (read.ok() && (by_table || (*read && (*read)->has_parts))) table = std::move(read).value();
  if (table) {
    list.notes.insert(list.notes.end(), table->notes.begin(), table->notes.end());
    take_part(list, *table, found, wanted.split);
  }
  if (by_table) {
    if (table && table->has_labels) {
      ITO_TRY(label_by_table(list, *table, found, source, of_training));
      return list;
    }
    if (source == LabelSource::kMetadata)
      return invalid_argument(
          "{}: --labels metadata wants metadata.csv or metadata.jsonl with columns "
          "file_name and label",
          folder.string());
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
  for (const FoundPicture& file : found.pictures) {
    const std::string name = first_folder(file.relative);
    stray = stray || name.empty();
    if (!name.empty()) folders.insert(name);
  }
  if (folders.empty()) {
    take_all(list, found);
    if (of_training == nullptr) label_samples(list);
    return list;
  }
  // One folder that holds everything is no class but where the pictures are, and maybe a table that
  // tells their parts.
  const bool may_hold_all = of_training == nullptr || of_training->part != DataPart::kAll;
  if (may_hold_all && folders.size() == 1 && !stray && found.pictureless.empty()) {
    if (list.part != DataPart::kAll) {
      take_all(list, found);
      return list;
    }
    PicturesWanted inside = wanted;
    inside.root.clear();
    ITO_ASSIGN(PictureList inner, list_pictures(folder / *folders.begin(), inside));
    for (const auto& [why, files] : found.left_out(*folders.begin())) inner.left_out[why] += files;
    if (table) inner.notes.insert(inner.notes.begin(), table->notes.begin(), table->notes.end());
    return inner;
  }
  ITO_TRY(label_by_folders(list, found, of_training));
  return list;
}

}  // namespace ito
