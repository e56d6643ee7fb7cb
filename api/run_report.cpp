#include "api/run_report.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <utility>

#include "api/objectives.h"
#include "api/run_folder.h"
#include "api/training_options.h"
#include "base/check.h"
#include "base/error.h"
#include "io/checkpoint.h"
#include "io/image.h"
#include "io/jsonl.h"

namespace ito {
namespace {

constexpr const char* kTrainerFile = "trainer.json";

struct ChartColumn {
  const char* key;   // in metrics.jsonl
  const char* name;  // of the curve
};
// One chart: the columns that belong to it.
struct ChartRow {
  const char* title;
  bool log_y;
  std::vector<ChartColumn> columns;
};
const std::vector<ChartRow>& chart_rows() {
  static const std::vector<ChartRow> rows = {
      {"Loss", true, {{"loss", "loss"}, {"validation", "validation"}}},
      {"Accuracy", false, {{"accuracy", "accuracy"}}},
      {"Learning rate", false, {{"lr", "learning rate"}}},
      {"Norm of the gradient", true, {{"grad_norm", "norm"}}},
      {"Loss scale", true, {{"loss_scale", "scale"}}},
      {"Steps left out", false, {{"skipped_steps", "steps"}}},
  };
  return rows;
}

std::optional<double> number(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

// A row of metrics.jsonl against the step.
ReportSeries series_of(const RunRecord& run, const ChartColumn& column, const std::string& name) {
  ReportSeries series{.name = name, .x = {}, .y = {}};
  for (const Json& row : run.metrics) {
    const auto step = number(row, "step"), value = number(row, column.key);
    if (!step || !value) continue;
    series.x.push_back(*step);
    series.y.push_back(*value);
  }
  return series;
}

const Json& options_of(const RunRecord& run) {
  static const Json none = Json::object();
  const auto found = run.settings.find("options");
  return found == run.settings.end() || !found->is_object() ? none : *found;
}

// What a table of settings shows: the options, how long the run is and how often something is done,
// and the share of images that is held out.
Json settings_of(const RunRecord& run) {
  Json all = options_of(run);
  // An objective that was chosen by other options is what it is by name.
  if (const auto options = training_options_from_json(all, run.name); options.ok())
    if (const auto row = objective_of(*options); row.ok() && all.contains("objective"))
      all["objective"] = (*row)->name.name;
  const auto pace = run.settings.find("pace");
  if (pace != run.settings.end() && pace->is_object()) all.update(*pace);
  const auto share = run.settings.find("holdout");
  if (share != run.settings.end()) all["holdout"] = *share;
  return all;
}

// Images per second between rows; where a call began anew the clock has gone on without steps.
ReportSeries throughput(const RunRecord& run, const std::string& name) {
  const double images = number(options_of(run), "batch").value_or(1) *
                        number(options_of(run), "accumulate").value_or(1);
  ReportSeries series{.name = name, .x = {}, .y = {}};
  std::optional<double> last_step, last_seconds;
  for (const Json& row : run.metrics) {
    const auto step = number(row, "step"), seconds = number(row, "seconds");
    if (!step || !seconds) continue;
    if (last_step && *step > *last_step && *seconds > *last_seconds) {
      series.x.push_back(*step);
      series.y.push_back(images * (*step - *last_step) / (*seconds - *last_seconds));
    }
    last_step = step;
    last_seconds = seconds;
  }
  return series;
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  if (value.is_null()) return "-";
  return dump_json_line(value);
}

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Result<std::vector<ReportPicture>> sample_grids(const Path& run) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(run));
  std::vector<std::pair<int64_t, std::string>> grids;
  for (const std::string& name : names)
    if (const auto step = own_grid_step(run / name)) grids.emplace_back(*step, name);
  std::sort(grids.begin(), grids.end());
  std::vector<ReportPicture> pictures;
  const size_t count = std::min(grids.size(), kMostSampleGrids);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = count == 1 ? grids.size() - 1 : i * (grids.size() - 1) / (count - 1);
    const Path path = run / grids[at].second;
    ReportPicture picture{.caption = fmt::format("step {}", grids[at].first)};
    ITO_ASSIGN(picture.png, read_file(path));
    ITO_ASSIGN(const Image image, read_image(path));
    picture.width = image.w;
    picture.height = image.h;
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

// Names of the runs in a head.
std::vector<std::string> head_of(const std::vector<RunRecord>& runs) {
  std::vector<std::string> head = {""};
  for (const RunRecord& run : runs) head.push_back(run.name);
  return head;
}

// Rows of values by key, a column a run. `all`: those that agree too.
ReportTable value_table(std::string title, const std::vector<RunRecord>& runs,
                        const std::vector<Json>& values, bool all) {
  ReportTable table{.title = std::move(title), .head = {}, .rows = {}};
  if (runs.size() > 1) table.head = head_of(runs);
  std::vector<std::string> keys;
  for (const Json& value : values)
    for (const auto& [key, entry] : value.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  for (const std::string& key : keys) {
    std::vector<std::string> row = {key};
    for (const Json& value : values) {
      const auto found = value.find(key);
      row.push_back(found == value.end() ? "-" : text_of(*found));
    }
    const bool differs =
        std::any_of(row.begin() + 2, row.end(), [&](const auto& text) { return text != row[1]; });
    if (all || differs) table.rows.push_back(std::move(row));
  }
  return table;
}

// What the run's images were, without the classes, which have a table of their own.
Json data_facts(const RunRecord& run) {
  Json facts = Json::object();
  const auto kept = run.settings.find("facts");
  if (kept != run.settings.end() && kept->is_object()) facts = *kept;
  facts.erase("classes");
  for (const char* key : {"left_out", "notes"})
    if (facts.contains(key) && facts[key].empty()) facts.erase(key);
  for (const char* key : {"data", "held_out"})
    if (run.settings.contains(key)) facts[key] = run.settings[key];
  return facts;
}

ReportTable class_table(const RunRecord& run) {
  ReportTable table{.title = "Classes", .head = {"class", "images"}, .rows = {}};
  const auto facts = run.settings.find("facts");
  if (facts == run.settings.end() || !facts->is_object() || !facts->contains("classes"))
    return table;
  for (const Json& row : (*facts)["classes"])
    if (row.is_object() && row.contains("name") && row.contains("images"))
      table.rows.push_back({text_of(row["name"]), text_of(row["images"])});
  return table;
}

}  // namespace

Json last_value(const RunRecord& run, const std::string& column) {
  for (auto row = run.metrics.rbegin(); row != run.metrics.rend(); ++row)
    if (row->contains(column)) return (*row)[column];
  return nullptr;
}

Json run_summary(const RunRecord& run) {
  Json summary = {{"run", run.name}, {"step", last_value(run, "step")}};
  for (const char* key : {"device", "images_seen"})
    if (run.trainer.contains(key)) summary[key] = run.trainer[key];
  if (const auto seconds = number(run.trainer, "seconds")) summary["time"] = duration(*seconds);
  for (const char* column : {"loss", "validation", "accuracy"})
    if (const Json value = last_value(run, column); !value.is_null()) summary[column] = value;
  if (run.settings.contains("parameters")) summary["weights"] = run.settings["parameters"];
  if (run.settings.contains("init") && run.settings["init"].contains("model"))
    summary["started from"] = run.settings["init"]["model"];
  return summary;
}

Result<std::vector<std::string>> run_names(const std::vector<Path>& runs) {
  std::vector<std::vector<std::string>> parts;  // of each path, the last first
  for (const Path& run : runs) {
    std::error_code ignored;
    const Path whole = std::filesystem::absolute(run, ignored).lexically_normal();
    parts.emplace_back();
    for (const Path& part : whole.relative_path())
      if (!part.empty()) parts.back().insert(parts.back().begin(), part.string());
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto shared = [&](size_t j) {
      const auto differ =
          std::mismatch(parts[i].begin(), parts[i].end(), parts[j].begin(), parts[j].end());
      return static_cast<size_t>(differ.first - parts[i].begin());
    };
    size_t length = 1;
    for (size_t j = 0; j < parts.size(); ++j) {
      if (j != i && parts[i] == parts[j])
        return invalid_argument("{} and {} are one run; give each once",
                                runs[std::min(i, j)].string(), runs[std::max(i, j)].string());
      if (j != i) length = std::max(length, shared(j) + 1);
    }
    Path name;
    for (size_t k = std::min(length, parts[i].size()); k-- > 0;) name /= parts[i][k];
    names.push_back(name.empty() ? runs[i].string() : name.string());
  }
  return names;
}

Result<RunRecord> read_run_record(const Path& run, const std::string& name) {
  if (!folder_exists(run) || !file_exists(run / kRunFile))
    return not_found("{} is no run of ito train: it has no {}", run.string(), kRunFile);
  RunRecord record;
  record.name = name;
  ITO_ASSIGN(record.settings, read_json(run / kRunFile));
  if (!record.settings.is_object())
    return corrupt("{}: expected a JSON object", (run / kRunFile).string());
  if (file_exists(run / kMetricsFile)) {
    ITO_ASSIGN(record.metrics, read_jsonl(run / kMetricsFile));
  }
  ITO_ASSIGN(const std::vector<int64_t> steps, checkpoint_steps(run));
  if (!steps.empty()) {
    // Of a checkpoint that is damaged nothing is said.
    const auto file = read_json(checkpoint_folder(run, steps.back()) / kTrainerFile);
    const Json::json_pointer at("/trainer/metadata");
    if (file.ok() && file->contains(at) && (*file)[at].is_object()) record.trainer = (*file)[at];
  }
  ITO_ASSIGN(record.samples, sample_grids(run));
  return record;
}

Report run_report(const std::vector<RunRecord>& runs) {
  CHECK(!runs.empty(), "a report of no run");
  const bool one = runs.size() == 1;
  Report report;
  for (const RunRecord& run : runs)
    report.title += (report.title.empty() ? "" : " and ") + run.name;
  std::vector<Json> summaries, options, facts;
  for (const RunRecord& run : runs) {
    summaries.push_back(run_summary(run));
    options.push_back(settings_of(run));
    facts.push_back(data_facts(run));
  }
  report.subtitle = one ? fmt::format("step {}", text_of(summaries[0]["step"]))
                        : fmt::format("{} runs beside each other", runs.size());
  report.sections.push_back(
      {.title = "Summary", .tables = {value_table("", runs, summaries, true)}});
  ReportSection curves{.title = "Curves"};
  for (const ChartRow& row : chart_rows()) {
    ReportChart chart{.title = row.title, .x_label = "step", .log_y = row.log_y, .series = {}};
    for (const RunRecord& run : runs)
      for (const ChartColumn& column : row.columns) {
        const std::string name = one                       ? std::string(column.name)
                                 : row.columns.size() == 1 ? run.name
                                                           : run.name + ": " + column.name;
        ReportSeries series = series_of(run, column, name);
        if (!series.x.empty()) chart.series.push_back(std::move(series));
      }
    if (!chart.series.empty()) curves.charts.push_back(std::move(chart));
  }
  ReportChart speed{.title = "Images per second", .x_label = "step", .log_y = false, .series = {}};
  for (const RunRecord& run : runs) {
    ReportSeries series = throughput(run, one ? "images per second" : run.name);
    if (!series.x.empty()) speed.series.push_back(std::move(series));
  }
  if (!speed.series.empty()) curves.charts.push_back(std::move(speed));
  report.sections.push_back(std::move(curves));
  for (const RunRecord& run : runs)
    if (!run.samples.empty())
      report.sections.push_back(
          {.title = one ? "Samples" : "Samples of " + run.name, .pictures = run.samples});
  ReportSection data{.title = "Data", .tables = {value_table("", runs, facts, true)}};
  for (const RunRecord& run : runs) {
    ReportTable classes = class_table(run);
    if (!one) classes.title += " of " + run.name;
    if (!classes.rows.empty()) data.tables.push_back(std::move(classes));
  }
  report.sections.push_back(std::move(data));
  report.sections.push_back({.title = one ? "Settings" : "Settings that differ",
                             .tables = {value_table("", runs, options, one)}});
  return report;
}

Status write_run_report(const Path& run) {
  ITO_ASSIGN(const std::vector<std::string> names, run_names({run}));
  ITO_ASSIGN(RunRecord record, read_run_record(run, names[0]));
  std::vector<RunRecord> one;
  one.push_back(std::move(record));
  return write_file_atomic(run / kReportFile, html_page(run_report(one)));
}

}  // namespace ito
