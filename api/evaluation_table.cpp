#include "api/evaluation_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/output_file.h"
#include "base/error.h"

namespace ito {
namespace {

constexpr const char *kRowKey = "key", *kModel = "model", *kSampler = "sampler",
                     *kRefused = "refused", *kByClass = "recognised_by_class";
constexpr const char* kNothing = "–";

// How a table begins, by which it is known.
constexpr const char* kMarkdownHead = "<!-- written by `ito evaluate`; do not edit -->\n";

constexpr OutputFile kMarkdown = {
    ".md", "ito evaluate", [](const Path& path) { return begins_with(path, kMarkdownHead); }};

struct Column {
  const char *value, *error;  // members of a row; error may be null
  const char* title;
  int digits;
};
constexpr Column kColumns[] = {
    {"frechet", "frechet_error", "Fréchet distance", 3},
    {"kernel", "kernel_error", "kernel distance", 6},
    {"precision", "precision_error", "precision", 3},
    {"recall", "recall_error", "recall", 3},
    {"recognised_percent", nullptr, "recognised %", 1},
    {"samples", nullptr, "samples", 0},
    {"seconds", nullptr, "seconds", 0},
    {"bits_per_dim", "bits_error", "bits/dim", 3},
    {"likelihood_images", nullptr, "images", 0},
};

bool has_number(const Json& row, const char* name) {
  return name != nullptr && row.contains(name) && row[name].is_number();
}

std::string cell(const Json& row, const Column& column) {
  if (!has_number(row, column.value)) return kNothing;
  const std::string value = fmt::format("{:.{}f}", row[column.value].get<double>(), column.digits);
  if (!has_number(row, column.error)) return value;
  return fmt::format("{} ± {:.{}f}", value, row[column.error].get<double>(), column.digits);
}

void put(Json& row, const Column& column, const MeanAndError& value) {
  row[column.value] = value.mean;
  row[column.error] = value.standard_error;
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& one : cells) text += fmt::format(" {} |", one);
  return text + "\n";
}

std::string head_of(const std::vector<std::string>& titles) {
  std::string rule = "|";
  for (size_t i = 0; i < titles.size(); ++i) rule += "---|";
  return line_of(titles) + rule + "\n";
}

std::vector<std::string> name_of(const Json& row) {
  return {row[kModel].get<std::string>(), row[kSampler].get<std::string>()};
}

// The share recognised by class, of the rows that have it; classes in the order of their numbers.
std::string text_by_class(const std::vector<Json>& rows) {
  std::vector<std::string> names, titles = {kModel, kSampler};
  for (const Json& row : rows)
    for (const Json& one : row.value(kByClass, Json::array())) {
      const std::string name = one.at("class").get<std::string>();
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  if (names.empty()) return "";
  titles.insert(titles.end(), names.begin(), names.end());
  std::string text = "\nRecognised %, by class:\n\n" + head_of(titles);
  for (const Json& row : rows) {
    if (!row.contains(kByClass)) continue;
    std::vector<std::string> cells = name_of(row);
    for (const std::string& name : names) {
      std::string share = kNothing;
      for (const Json& one : row[kByClass])
        if (one.at("class") == name) share = fmt::format("{:.0f}", one.at("percent").get<double>());
      cells.push_back(share);
    }
    text += line_of(cells);
  }
  return text;
}

}  // namespace

Json row_of(const SetScore& score) {
  Json row = {{"samples", score.images}};
  put(row, kColumns[0], score.frechet);
  put(row, kColumns[1], score.kernel);
  if (score.spread) {
    put(row, kColumns[2], score.spread->precision);
    put(row, kColumns[3], score.spread->recall);
  }
  return row;
}

Json row_of(const SampleScore& score, const ClassNames* names) {
  Json row = row_of(score.set);
  row["seconds"] = score.seconds;
  if (score.drawn.empty()) return row;
  int64_t drawn = 0, recognised = 0;
  Json classes = Json::array();
  for (size_t i = 0; i < score.drawn.size(); ++i) {
    drawn += score.drawn[i];
    recognised += score.recognised[i];
    if (score.drawn[i] == 0) continue;
    const bool named = names != nullptr && i < names->names.size();
    classes.push_back({{"class", named ? names->names[i] : std::to_string(i)},
                       {"percent", 100.0 * static_cast<double>(score.recognised[i]) /
                                       static_cast<double>(score.drawn[i])}});
  }
  row["recognised_percent"] =
      100 * static_cast<double>(recognised) / static_cast<double>(std::max<int64_t>(drawn, 1));
  row[kByClass] = std::move(classes);
  return row;
}

EvaluationTable::EvaluationTable(const Path& markdown) : markdown_(markdown), json_(markdown) {
  json_.replace_extension(".json");
}

Status EvaluationTable::check_name(const std::string& option, const Path& markdown) {
  return check_ending(kMarkdown, option, markdown);
}

Status EvaluationTable::load() {
  ITO_TRY(check_replaceable(kMarkdown, "--out", markdown_));
  if (!file_exists(json_)) return {};
  ITO_ASSIGN(const Json json, read_json(json_));
  if (!json.is_object() || !json.contains("rows") || !json["rows"].is_array())
    return corrupt("{}: not a table of `ito evaluate`", json_.string());
  for (const Json& row : json["rows"]) {
    if (!row.is_object() || !row.contains(kRowKey))
      return corrupt("{}: a row without a key", json_.string());
    old_.push_back(row);
  }
  return {};
}

const Json* EvaluationTable::find(const Json& key) const {
  for (const Json& row : old_)
    if (row[kRowKey] == key) return &row;
  return nullptr;
}

Status EvaluationTable::add(Json row, const std::string& preface) {
  rows_.push_back(std::move(row));
  Json all = Json::array();
  for (const Json& done : rows_) all.push_back(done);
  for (const Json& old : old_)
    if (std::none_of(rows_.begin(), rows_.end(),
                     [&](const Json& done) { return done[kRowKey] == old[kRowKey]; }))
      all.push_back(old);
  const Path folder = markdown_.parent_path();
  if (!folder.empty()) ITO_TRY(make_folders(folder));
  ITO_TRY(write_file_atomic(json_, dump_json({{"rows", all}})));
  return write_file_atomic(markdown_, text(preface));
}

std::string EvaluationTable::text(const std::string& preface) const {
  std::vector<const Column*> columns;
  for (const Column& column : kColumns)
    if (std::any_of(rows_.begin(), rows_.end(),
                    [&](const Json& row) { return has_number(row, column.value); }))
      columns.push_back(&column);
  std::vector<std::string> titles = {kModel, kSampler};
  for (const Column* column : columns) titles.push_back(column->title);
  std::string text = kMarkdownHead + preface + "\n" + head_of(titles), refused;
  for (const Json& row : rows_) {
    if (row.contains(kRefused)) {
      refused += fmt::format("- {}, {}: {}\n", row[kModel].get<std::string>(),
                             row[kSampler].get<std::string>(), row[kRefused].get<std::string>());
      continue;
    }
    std::vector<std::string> cells = name_of(row);
    for (const Column* column : columns) cells.push_back(cell(row, *column));
    text += line_of(cells);
  }
  text += text_by_class(rows_);
  if (!refused.empty()) text += "\nWithout numbers:\n\n" + refused;
  return text;
}

}  // namespace ito
