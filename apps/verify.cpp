// ito verify: the theory against simulation, as a table with standard errors.
#include "studies/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/output_file.h"
#include "apps/command.h"
#include "base/error.h"
#include "io/file.h"
#include "io/json.h"
#include "plots/html_report.h"

namespace ito::apps {
namespace {

struct VerifyCommand {
  DeviceChoice device;
  VerifyOptions options;
  std::string report;
  bool json = false;
};

constexpr OutputFile kVerifyPage = {".html", "ito", is_own_page};

Status check(const VerifyCommand& c) {
  if (!c.report.empty()) ITO_TRY(check_ending(kVerifyPage, "--report", c.report));
  return check_verify(c.options);
}

const char* verdict(const VerifyRow& row) { return row.passed() ? "ok" : "WRONG"; }

Json json_of(const std::vector<VerifyRow>& rows) {
  Json list = Json::array();
  for (const VerifyRow& row : rows)
    list.push_back({{"check", row.check},
                    {"quantity", row.quantity},
                    {"measured", row.measured},
                    {"theory", row.theory},
                    {"method_bias", row.bias},
                    {"expected", row.expected()},
                    {"standard_error", row.standard_error},
                    {"z", row.z},
                    {"passed", row.passed()}});
  return list;
}

void print_table(const std::vector<VerifyRow>& rows) {
  fmt::print("{:<22} {:<22} {:>11} {:>11} {:>11} {:>10} {:>6}\n", "check", "quantity", "measured",
             "theory", "method bias", "std error", "z");
  std::string last;
  for (const VerifyRow& row : rows) {
    fmt::print("{:<22} {:<22} {:>11.5f} {:>11.5f} {:>11.5f} {:>10.5f} {:>6.2f} {}\n",
               row.check == last ? "" : row.check, row.quantity, row.measured, row.theory, row.bias,
               row.standard_error, row.z, verdict(row));
    last = row.check;
  }
}

Report report_of(const VerifyCommand& c, const std::vector<VerifyRow>& rows,
                 const std::string& device) {
  ReportTable table{.head = {"check", "quantity", "measured", "theory", "method bias",
                             "standard error", "z", ""}};
  const auto digits = [](double value) { return fmt::format("{:.5f}", value); };
  for (const VerifyRow& row : rows)
    table.rows.push_back({row.check, row.quantity, digits(row.measured), digits(row.theory),
                          digits(row.bias), digits(row.standard_error),
                          fmt::format("{:.2f}", row.z), verdict(row)});
  return {.title = "ito verify",
          .subtitle = fmt::format("{} chains, {} Euler-Maruyama steps, seed {}, on {}",
                                  c.options.chains, c.options.steps, c.options.seed, device),
          .sections = {{.title = "z = (measured - theory - method bias) / standard error; a row is "
                                 "wrong beyond 4",
                        .tables = {std::move(table)}}}};
}

Status run(const VerifyCommand& c) {
  if (!c.report.empty()) ITO_TRY(check_replaceable(kVerifyPage, "--report", c.report));
  ITO_ASSIGN(auto device, open_and_announce(c.device, fmt::format("{} chains", c.options.chains)));
  ProgressLine line;
  const std::atomic<bool>& stop = stop_requested();
  ITO_ASSIGN(const std::vector<VerifyRow> rows,
             run_verify(*device, c.options, [&](const std::string& check) {
               line.update(check);
               return !stop;
             }));
  line.finish();
  if (c.json)
    fmt::print("{}", dump_json(Json{{"chains", c.options.chains},
                                    {"steps", c.options.steps},
                                    {"seed", c.options.seed},
                                    {"rows", json_of(rows)}}));
  else
    print_table(rows);
  if (!c.report.empty())
    ITO_TRY(write_file_atomic(c.report, html_page(report_of(c, rows, device->info().name))));
  const auto wrong =
      std::count_if(rows.begin(), rows.end(), [](const VerifyRow& row) { return !row.passed(); });
  if (wrong > 0)
    return corrupt("{} of {} quantities are more than 4 standard errors from what theory says",
                   wrong, rows.size());
  if (!c.json) fmt::print("all {} quantities are within 4 standard errors\n", rows.size());
  return {};
}

}  // namespace

Command add_verify_command(CLI::App& root) {
  auto c = std::make_shared<VerifyCommand>();
  CLI::App* app = root.add_subcommand(
      "verify", "Check SDEs and Langevin dynamics against their theory, with standard errors");
  app->add_option("--chains", c->options.chains, "points simulated")->capture_default_str();
  app->add_option("--steps", c->options.steps, "Euler-Maruyama steps")->capture_default_str();
  app->add_option("--seed", c->options.seed, "seed of all noise")->capture_default_str();
  app->add_option("--report", c->report, ".html to write the table to");
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
