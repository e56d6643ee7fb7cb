// metadata.csv and metadata.jsonl beside pictures: rows of file_name, label and split, as
// `datasets` reads them; and the dataset.json of StyleGAN's and EDM's tools.
#include <algorithm>

#include "base/error.h"
#include "base/name_list.h"
#include "io/datasets/picture_table.h"
#include "io/file_kind.h"
#include "io/json.h"

namespace ito {
namespace {

constexpr uint64_t kMaxMetadata = uint64_t{1} << 30;

bool is_file_column(std::string_view name) { return name == "file_name" || name == "filename"; }
bool is_label_column(std::string_view name) { return name == "label" || name == "class"; }
bool is_part_column(std::string_view name) { return name == "split"; }

// A field without the blanks around it; nothing in quotes is taken off.
std::string without_blanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") + 1 - first));
}

// One row of RFC 4180, of whatever line ends: fields in quotes may hold commas, line ends and
// doubled quotes. False at the end of the text. Error kCorrupt: a quote that nothing closes.
Result<bool> next_row(std::string_view& rest, std::vector<std::string>& fields, int64_t number,
                      const std::string& where) {
  fields.clear();
  if (rest.empty()) return false;
  std::string field;
  bool quoted = false, was_quoted = false;
  const auto end_field = [&] {
    fields.push_back(was_quoted ? std::move(field) : without_blanks(field));
    field.clear();
    was_quoted = false;
  };
  size_t at = 0;
  for (; at < rest.size(); ++at) {
    const char c = rest[at];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (at + 1 < rest.size() && rest[at + 1] == '"') {
        field += '"';
        ++at;
      } else {
        quoted = false;
      }
    } else if (c == '"' && !was_quoted && without_blanks(field).empty()) {
      quoted = was_quoted = true;
      field.clear();
    } else if (c == ',') {
      end_field();
    } else if (c == '\n' || c == '\r') {
      if (c == '\r' && at + 1 < rest.size() && rest[at + 1] == '\n') ++at;
      break;
    } else if (!was_quoted || (c != ' ' && c != '\t')) {
      field += c;
    }
  }
  if (quoted) return corrupt("{}: row {} has a quote (\") that nothing closes", where, number);
  end_field();
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return true;
}

// Which column `is` the names of; nothing without one. Error kCorrupt: several.
Result<std::optional<size_t>> column_called(const std::vector<std::string>& names,
                                            bool (*is)(std::string_view name),
                                            const std::string& where) {
  std::optional<size_t> found;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!is(names[i])) continue;
    if (found)
      return corrupt(
          "{}: the columns {} and {} are both {}; expected one", where, *found + 1, i + 1,
          names[*found] == names[i] ? "called " + names[i] : names[*found] + " or " + names[i]);
    found = i;
  }
  return found;
}

// Error kCorrupt: the file has another label or part already.
Status add_row(PictureMetadata& out, const std::string& file, const PictureMetadata::Row& row) {
  const std::string name = name_in_table(file);
  const auto [it, added] = out.rows.emplace(name, row);
  if (added) return {};
  for (const auto& [what, one, other] :
       {std::tuple{"labels", it->second.label, row.label}, {"parts", it->second.part, row.part}})
    if (one != other)
      return corrupt("{}: {} has the {} \"{}\" and \"{}\", expected one", out.path.string(), name,
                     what, one, other);
  return {};
}

Result<PictureMetadata> read_csv(const Path& path) {
  ITO_ASSIGN(const std::string text, read_file(path, kMaxMetadata));
  std::string_view rest = text;
  if (rest.starts_with("\xff\xfe") || rest.starts_with("\xfe\xff"))
    return corrupt("{}: is UTF-16; expected UTF-8", path.string());
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  if (!is_utf8(rest))
    return corrupt("{}: is not UTF-8, maybe Latin-1; iconv -f latin1 -t utf8 makes that of it",
                   path.string());
  PictureMetadata out{.path = path, .has_labels = false, .rows = {}, .notes = {}};
  const std::string where = path.string();
  std::vector<std::string> row;
  ITO_TRY(next_row(rest, row, 1, where));
  const size_t columns = row.size();
  ITO_ASSIGN(const std::optional<size_t> file, column_called(row, is_file_column, where));
  ITO_ASSIGN(const std::optional<size_t> label, column_called(row, is_label_column, where));
  ITO_ASSIGN(const std::optional<size_t> part, column_called(row, is_part_column, where));
  if (!file)
    return corrupt("{}: the first line has no column file_name (commas between columns), found {}",
                   where, listed(row).empty() ? "nothing" : listed(row));
  out.has_labels = label.has_value();
  for (int64_t number = 2;; ++number) {
    ITO_ASSIGN(const bool more, next_row(rest, row, number, where));
    if (!more) return out;
    if (row.size() == 1 && row[0].empty()) continue;
    if (row.size() != columns)
      return corrupt(
          "{}: row {} has {} fields, the first line {}; a comma in a field wants quotes "
          "around it",
          where, number, row.size(), columns);
    ITO_TRY(add_row(out, row[*file],
                    {label ? row[*label] : std::string(), part ? row[*part] : std::string()}));
  }
}

// A label of JSON as a class name; empty for null.
Result<std::string> label_text(const Json& value, const Path& path, int64_t line) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  return corrupt("{}: row {}: a label is {}, expected a name or an integer", path.string(), line,
                 describe_json(value));
}

Result<PictureMetadata> read_json_lines(const Path& path) {
  ITO_ASSIGN(const std::string text, read_file(path, kMaxMetadata));
  PictureMetadata out{.path = path, .has_labels = false, .rows = {}, .notes = {}};
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ITO_ASSIGN(const Json json, parse_json(row, fmt::format("{}: row {}", path.string(), line)));
    std::string file;
    PictureMetadata::Row told;
    if (!json.is_object()) return corrupt("{}: row {} is no JSON object", path.string(), line);
    for (const auto& [key, value] : json.items()) {
      if (is_file_column(key) && value.is_string()) file = value.get<std::string>();
      if (is_part_column(key) && value.is_string()) told.part = value.get<std::string>();
      if (!is_label_column(key)) continue;
      ITO_ASSIGN(told.label, label_text(value, path, line));
      out.has_labels = true;
    }
    if (file.empty()) return corrupt("{}: row {} has no file_name", path.string(), line);
    ITO_TRY(add_row(out, file, told));
  }
  return out;
}

// {"labels": [["00000/img00000000.png", 6], …]} or null. ImageNet's has 1,281,167 such pairs in 45
// MB, and a pair takes 270 bytes in memory.
Result<PictureMetadata> read_dataset_json(const Path& path) {
  constexpr size_t kTimes = 8;
  ITO_ASSIGN(const Json json, read_json(path, kTimes));
  PictureMetadata out{.path = path, .has_labels = false, .rows = {}, .notes = {}};
  const Json* rows = json.is_object() && json.contains("labels") ? &json["labels"] : nullptr;
  if (rows == nullptr || !rows->is_array()) return out;
  out.has_labels = true;
  for (const Json& row : *rows) {
    if (!row.is_array() || row.size() != 2 || !row[0].is_string())
      return corrupt("{}: an entry of labels is {}, expected a file name and a label",
                     path.string(), describe_json(row));
    PictureMetadata::Row told;
    ITO_ASSIGN(told.label, label_text(row[1], path, static_cast<int64_t>(out.rows.size())));
    ITO_TRY(add_row(out, row[0].get<std::string>(), told));
  }
  return out;
}

}  // namespace

std::string name_in_table(std::string file) {
  std::replace(file.begin(), file.end(), '\\', '/');
  return Path(file).lexically_normal().string();
}

Result<std::optional<PictureMetadata>> read_metadata(const Path& folder) {
  using Reader = Result<PictureMetadata> (*)(const Path&);
  constexpr std::pair<const char*, Reader> kFiles[] = {{"metadata.csv", read_csv},
                                                       {"metadata.jsonl", read_json_lines},
                                                       {"dataset.json", read_dataset_json}};
  std::optional<PictureMetadata> found;
  for (const auto& [name, reader] : kFiles) {
    if (!file_exists(folder / name)) continue;
    if (found) {
      found->notes.push_back(fmt::format("{} is left out: {} names the classes",
                                         (folder / name).string(),
                                         found->path.filename().string()));
      continue;
    }
    ITO_ASSIGN(found, reader(folder / name));
  }
  return found;
}

}  // namespace ito
