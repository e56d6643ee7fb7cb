// A run as a page: losses, learning rate, norm of the gradient, speed, grids of samples over time,
// what it was trained on, its device and settings, gathered from the files of its folder; and
// several runs beside each other. Not for how a page is written (plots/html_report.h) and not for
// what a run writes while it trains (api/training_run.h).
#pragma once

#include <string>
#include <vector>

#include "api/run_folder.h"
#include "base/result.h"
#include "io/file.h"
#include "io/json.h"
#include "plots/html_report.h"

namespace ito {

// What the files of a run's folder say.
struct RunRecord {
  std::string name;               // the folder's, and those above it where others are called so
  Json settings;                  // run.json
  Json trainer = Json::object();  // of the newest checkpoint: device, step, seconds
  std::vector<Json> metrics;      // rows of metrics.jsonl
  std::vector<ReportPicture>
      samples;  // at most kMostSampleGrids, spread evenly, the last among them
};
inline constexpr size_t kMostSampleGrids = 12;

// What runs are called beside each other: of each folder the shortest end of its path that no other
// has. Error kInvalidArgument: one is there twice.
Result<std::vector<std::string>> run_names(const std::vector<Path>& runs);

// `name`: what it is called. Errors: kNotFound where the folder is no run; files that are damaged.
Result<RunRecord> read_run_record(const Path& run, const std::string& name);

// The last value of a column of the metrics, or null.
Json last_value(const RunRecord& run, const std::string& column);
// What run_report shows first: step, device, time, losses; one value each.
Json run_summary(const RunRecord& run);

// One run, or several beside each other: their curves in one chart each, their settings where they
// differ. CHECK: there is one.
Report run_report(const std::vector<RunRecord>& runs);

// Writes RUN/report.html, atomically.
Status write_run_report(const Path& run);

}  // namespace ito
