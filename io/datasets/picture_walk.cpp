#include "io/datasets/picture_walk.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "io/datasets/picture_list.h"
#include "io/file_kind.h"
#include "io/model_index.h"

namespace ito {
namespace {

constexpr int kFoldersDeep = 16;
constexpr std::string_view kNotRead = ", which is not read";

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

// Of a file that is no picture that can be read, at a depth below the folder that is walked.
std::string why_no_picture(const Path& path, int depth) {
  if (is_special_file(path)) return "no plain file";
  const std::string name = path.filename().string(), ending = ending_of(name);
  if (is_class_table(name)) return name + " in a folder below, which is not used";
  if (const std::string kind = unreadable_kind(path); !kind.empty())
    return kind + std::string(kNotRead);
  const bool table = depth == 0 && (ending == "csv" || ending == "tsv" || ending == "jsonl");
  return table ? "a table that is not called metadata.csv" : why_left_out(name);
}

Status walk(const Path& folder, const std::string& relative, int depth, PictureWalk& out) {
  if (depth > kFoldersDeep)
    return corrupt("{}: folders in folders, more than {} deep", folder.string(), kFoldersDeep);
  if (depth > 0) ITO_TRY(check_no_loop(folder));
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  if (std::binary_search(names.begin(), names.end(), kModelIndex))
    return invalid_argument(
        "{} is a model's folder, it holds {}; move it away from the pictures, or give the folder "
        "of these",
        folder.string(), kModelIndex);
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
    if (depth == 0 && is_class_table(name)) continue;
    if (!is_special_file(path) && is_picture_file(path)) {
      out.pictures.push_back({path, below});
    } else {
      out.others.push_back({below, why_no_picture(path, depth)});
    }
  }
  return {};
}

}  // namespace

std::map<std::string, int64_t> PictureWalk::left_out(const std::string& below) const {
  std::map<std::string, int64_t> counts;
  for (const Other& other : others)
    if (below.empty() || !other.relative.starts_with(below + '/')) ++counts[other.why];
  return counts;
}

Result<PictureWalk> walk_pictures(const Path& folder) {
  PictureWalk found;
  ITO_TRY(walk(folder, "", 0, found));
  return found;
}

bool is_class_table(const std::string& name) {
  return name == "metadata.csv" || name == "metadata.jsonl" || name == "dataset.json";
}

std::string why_left_out(const std::string& name) {
  const std::string ending = ending_of(name);
  if (is_unreadable(ending)) return ending + std::string(kNotRead);
  static constexpr std::pair<std::string_view, std::string_view> kBeside[] = {
      {"tar", "a tar archive beside pictures"},
      {"npz", "arrays beside pictures"},
      {"npy", "arrays beside pictures"}};
  for (const auto& [other, why] : kBeside)
    if (ending == other) return std::string(why);
  return "no picture";
}

bool is_unread_picture(const std::string& why) { return why.ends_with(kNotRead); }

bool is_picture_file(const Path& path) {
  const std::string ending = ending_of(path.filename().string());
  if (!ending.empty()) return picture_format_of_ending(ending) != nullptr;
  const auto head = read_head(path, 64);
  return head.ok() && picture_format(*head) != nullptr;
}

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

}  // namespace ito
