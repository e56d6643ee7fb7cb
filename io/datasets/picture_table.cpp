#include "io/datasets/picture_table.h"

#include <algorithm>

#include "base/error.h"

namespace ito {
namespace {

// Parts are told where some rows are to train on and others are not, and every row that says a part
// says one that is known.
void read_parts(PictureTable& table, const std::vector<std::string>& texts) {
  std::set<std::string> unknown;
  std::set<DataPart> parts;
  for (size_t i = 0; i < texts.size(); ++i) {
    table.rows[i].part = part_of_name(texts[i]);
    if (texts[i].empty()) continue;
    parts.insert(table.rows[i].part);
    if (table.rows[i].part == DataPart::kAll) unknown.insert(texts[i]);
  }
  const bool trains = parts.contains(DataPart::kTrain);
  table.has_parts = unknown.empty() && trains && parts.size() > 1;
  if (!unknown.empty()) {
    table.notes.push_back(fmt::format(
        "the column split of {} is not used, all pictures are one part: {} {} none of train, test "
        "and validation",
        table.name, listed({unknown.begin(), unknown.end()}), unknown.size() == 1 ? "is" : "are"));
  } else if (!parts.empty() && !trains) {
    table.notes.push_back(fmt::format(
        "the column split of {} is not used, all pictures are one part: none is to train on",
        table.name));
  }
}

// Why a row of a table names no picture.
Error no_picture(const PictureMetadata& metadata, const std::string& name, const Path& root,
                 const std::string& part) {
  if (Path(name).is_absolute() || name.starts_with("../"))
    return corrupt(
        "{}: {} lies outside the folder; the pictures of a table lie in its folder, and their "
        "names "
        "begin there",
        metadata.path.string(), name);
  const Path in_part = root / part / name;
  if (!part.empty() && file_exists(in_part))
    return corrupt("{}: {} is not there; names begin in the table's folder, as {}/{}",
                   metadata.path.string(), name, part, name);
  return corrupt("{}: {} is {}", metadata.path.string(), name,
                 file_exists(metadata.path.parent_path() / name) ? "no picture" : "not there");
}

}  // namespace

Result<std::optional<PictureTable>> table_of_pictures(const Path& folder, const Path& root,
                                                      const PictureWalk& found) {
  ITO_ASSIGN(std::optional<PictureMetadata> metadata, read_metadata(folder));
  std::string part;  // of a table around it
  if (!metadata && !root.empty()) {
    ITO_ASSIGN(metadata, read_metadata(root));
    part = folder.filename().string();
  }
  if (!metadata) return std::optional<PictureTable>();
  const std::string before = part.empty() ? std::string() : part + "/";
  std::map<std::string, const FoundPicture*> pictures;
  for (const FoundPicture& picture : found.pictures)
    pictures.emplace(name_in_table(before + picture.relative), &picture);
  std::map<std::string, const PictureWalk::Other*> others;
  for (const PictureWalk::Other& other : found.others)
    others.emplace(name_in_table(before + other.relative), &other);

  PictureTable table;
  table.name = metadata->path.filename().string();
  table.has_labels = metadata->has_labels;
  table.notes = metadata->notes;
  if (!table.has_labels)
    table.notes.push_back(metadata->path.string() + " has no column label, so it names no classes");
  std::vector<std::string> parts;
  for (const auto& [name, row] : metadata->rows) {
    const std::string first = name.substr(0, std::min(name.find('/'), name.size()));
    // Of another part: looked for when that is read.
    if (!part.empty() && first != part && first != name && folder_exists(root / first)) continue;
    if (const auto it = pictures.find(name); it != pictures.end()) {
      table.rows.push_back({*it->second, row.label, DataPart::kAll});
      parts.push_back(row.part);
      continue;
    }
    const auto other = others.find(name);
    if (other != others.end() && is_unread_picture(other->second->why)) {
      if (!row.label.empty()) table.unread.insert(row.label);
    } else if (table.has_labels) {
      return no_picture(*metadata, name, root, part);
    }
  }
  read_parts(table, parts);
  if (!root.empty() && table.has_parts) {
    table.has_parts = false;
    table.notes.push_back(
        fmt::format("the column split of {} is not used: the folders are the parts", table.name));
  }
  if (part.empty() || !table.rows.empty() || !table.has_labels) return std::optional(table);
  table.has_labels = false;
  table.notes.push_back(
      fmt::format("{} names no picture in {}", metadata->path.string(), folder.string()));
  return std::optional(table);
}

void take_part(PictureList& list, PictureTable& table, PictureWalk& found, Split split) {
  if (!table.has_parts) return;
  const auto has = [&](DataPart part) {
    return std::any_of(table.rows.begin(), table.rows.end(),
                       [&](const PictureTable::Row& row) { return row.part == part; });
  };
  list.notes.push_back(fmt::format("the parts are those of the column split of {}", table.name));
  const auto tested = has(DataPart::kTest) ? DataPart::kTest : DataPart::kValidation;
  list.part = split == Split::kTrain ? DataPart::kTrain : tested;
  if (list.part == DataPart::kTest && has(DataPart::kValidation))
    list.notes.push_back("the pictures to validate on are left out: there are some to test on");
  std::map<std::string, DataPart> parts;
  for (const PictureTable::Row& row : table.rows) parts[row.picture.relative] = row.part;
  std::erase_if(found.pictures, [&](const FoundPicture& picture) {
    const auto it = parts.find(picture.relative);
    if (it == parts.end()) ++list.left_out["not in " + table.name];
    if (it != parts.end() && it->second == DataPart::kAll)
      ++list.left_out["no split in " + table.name];
    return it == parts.end() || it->second != list.part;
  });
  std::erase_if(table.rows, [&](const PictureTable::Row& row) { return row.part != list.part; });
}

Status label_by_table(PictureList& list, const PictureTable& table, const PictureWalk& found,
                      LabelSource source, const PictureList* of_training) {
  std::vector<std::string> names;
  std::set<std::string> folders;
  for (const PictureTable::Row& row : table.rows) {
    if (row.label.empty()) {
      ++list.left_out["no label in " + table.name];
      continue;
    }
    list.entries.push_back({row.picture.path, 0});
    names.push_back(row.label);
  }
  if (names.empty())
    return invalid_argument("{}: {} names no picture with its label", list.folder.string(),
                            table.name);
  for (const FoundPicture& picture : found.pictures) {
    const size_t slash = picture.relative.find('/');
    folders.insert(picture.relative.substr(0, slash == std::string::npos ? 0 : slash));
  }
  if (folders.size() > 1 && source == LabelSource::kAuto)
    list.notes.push_back(
        fmt::format("classes are those of {}; --labels folders takes the folders", table.name));
  const auto unnamed =
      static_cast<int64_t>(found.pictures.size()) - static_cast<int64_t>(table.rows.size());
  if (unnamed > 0) list.left_out["not in " + table.name] += unnamed;
  return label_by_names(list, names, true, table.unread, of_training);
}

}  // namespace ito
