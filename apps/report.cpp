// ito report: a run as a page, or several beside each other.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "api/output_file.h"
#include "api/run_report.h"
#include "apps/command.h"
#include "base/error.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct ReportCommand {
  std::vector<Path> runs;
  std::vector<std::string> names;  // what they are called beside each other
  std::string out;
  bool json = false;
};

constexpr OutputFile kReportPage = {".html", "ito", is_own_page};

// report-ONE-OTHER.html in the folder of the call.
std::string page_of_several(const std::vector<std::string>& names) {
  std::string page = "report";
  for (const std::string& name : names) page += "-" + name;
  std::replace(page.begin(), page.end(), '/', '-');
  return page + ".html";
}

Status check(ReportCommand& c) {
  if (!c.out.empty()) ITO_TRY(check_ending(kReportPage, "--out", c.out));
  ITO_ASSIGN(c.names, run_names(c.runs));
  // A page that the user named may be replaced by another; one that nobody named may not.
  if (c.out.empty() && c.runs.size() > 1 && file_exists(page_of_several(c.names)))
    return invalid_argument("{} is there already; name the page with --out FILE.html",
                            page_of_several(c.names));
  return {};
}

Status run(const ReportCommand& c) {
  if (!c.out.empty()) ITO_TRY(check_replaceable(kReportPage, "--out", c.out));
  std::vector<RunRecord> records;
  Json summaries = Json::array();
  for (size_t i = 0; i < c.runs.size(); ++i) {
    ITO_ASSIGN(RunRecord record, read_run_record(c.runs[i], c.names[i]));
    summaries.push_back(run_summary(record));
    records.push_back(std::move(record));
  }
  const Path out = !c.out.empty()       ? Path(c.out)
                   : c.runs.size() == 1 ? c.runs[0] / kReportFile
                                        : Path(page_of_several(c.names));
  ITO_TRY(write_file_atomic(out, html_page(run_report(records))));
  if (c.json)
    fmt::print("{}", dump_json({{"out", out.string()}, {"runs", summaries}}));
  else
    fmt::print("wrote {}\n", out.string());
  return {};
}

}  // namespace

Command add_report_command(CLI::App& root) {
  auto c = std::make_shared<ReportCommand>();
  CLI::App* app = root.add_subcommand(
      "report", "Write a page of a run's curves, samples, data and settings, or of several runs");
  app->add_option("RUN", c->runs, "run folders of `ito train`")->required();
  app->add_option("--out", c->out,
                  "the page, FILE.html; by default of one run its report.html, of several "
                  "report-ONE-OTHER.html here");
  app->add_flag("--json", c->json, "print what the runs have come to as JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
