#include "apps/likelihood_bound.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/likelihood_tables.h"
#include "api/log_density_lines.h"
#include "api/output_file.h"
#include "apps/open_model.h"
#include "apps/rows.h"
#include "base/error.h"
#include "base/integer.h"
#include "io/json.h"
#include "io/png.h"
#include "plots/plot.h"

namespace ito::apps {
namespace {

constexpr int kRowsPrinted = 12;  // of the rate-distortion table on a terminal

constexpr OutputFile kLikelihoodTable = {".csv", "ito likelihood", is_likelihood_table};
constexpr OutputFile kRatePicture = {".png", "ito likelihood", is_own_picture};

// One image has none.
Json error_json(const MeanAndError& value, size_t images) {
  return images > 1 ? Json(value.standard_error) : Json();
}

Json number_json(const MeanAndError& value, size_t images) {
  return {{"mean", value.mean}, {"standard_error", error_json(value, images)}};
}

Json curve_json(const std::vector<RateDistortion>& curve, size_t images) {
  Json rows = Json::array();
  for (const RateDistortion& row : curve)
    rows.push_back({{"timestep", row.timestep},
                    {"term", row.term.mean},
                    {"standard_error", error_json(row.term, images)},
                    {"rate", row.rate.mean},
                    {"rate_standard_error", error_json(row.rate, images)},
                    {"distortion", row.distortion.mean},
                    {"distortion_standard_error", error_json(row.distortion, images)}});
  return rows;
}

void print_bound(const LikelihoodInput& input, const BoundRequest& request,
                 const BoundSummary& summary, const std::vector<RateDistortion>& curve,
                 const BoundMeter& session, size_t images, int64_t of, double seconds,
                 const std::string& part) {
  if (input.json) {
    const Json json = {{"model", input.source.model},
                       {"data", input.source.path},
                       {"split", part},
                       {"first", first_json(input)},
                       {"images", images},
                       {"dimensions", session.dimensions()},
                       {"terms", session.terms()},
                       {"bound", number_json(summary.total, images)},
                       {"L_T", number_json(summary.prior, images)},
                       {"L_t", number_json(summary.rate, images)},
                       {"L_0", number_json(summary.decoder, images)},
                       {"rate_distortion", curve_json(curve, images)},
                       {"seed", request.settings.seed},
                       {"seconds", seconds}};
    fmt::print("{}", dump_json(json));
    return;
  }
  const auto text = [&](const MeanAndError& value) {
    return fmt::format("{:8.4f}  standard error {}", value.mean,
                       error_text(value.standard_error, images));
  };
  fmt::print("bound        {} bits/dim, over {} of {} dimensions\n", text(summary.total),
             measured_text(input, images, of), session.dimensions());
  fmt::print("  L_T        {}\n", text(summary.prior));
  fmt::print("  sum of L_t {}\n", text(summary.rate));
  fmt::print("  L_0        {}\n", text(summary.decoder));
  fmt::print("{:>8}  {:>10}  {:>14}  {:>12}  {:>14}\n", "timestep", "rate", "standard error",
             "distortion", "standard error");
  const size_t stride = std::max<size_t>(1, ceil_div(curve.size(), kRowsPrinted));
  for (size_t i = 0; i < curve.size(); ++i) {
    if (i % stride != 0 && i + 1 != curve.size()) continue;
    const auto& [timestep, term, rate, distortion] = curve[i];
    fmt::print("{:>8}  {:>10.4f}  {:>14}  {:>12.3f}  {:>14}\n", timestep, rate.mean,
               error_text(rate.standard_error, images), distortion.mean,
               error_text(distortion.standard_error, images));
  }
}

void print_lines(const LikelihoodInput& input, const LineRequest& request,
                 const std::vector<LogDensityDifference>& differences) {
  const LineSummary summary = summarise(differences);
  const auto [mean, error] = summary.difference;
  const double off = summary.integration_error;
  const bool scatters = differences.size() > 1;
  std::vector<double> values, integration;
  for (const LogDensityDifference& line : differences) {
    values.push_back(line.value);
    integration.push_back(line.integration_error);
  }
  if (input.json) {
    const Json json = {
        {"model", input.source.model}, {"from", request.ends[0]},
        {"to", request.ends[1]},       {"lines", differences.size()},
        {"difference", mean},          {"standard_error", scatters ? Json(error) : Json()},
        {"integration_error", off},    {"points", summary.points},
        {"differences", values},       {"integration_errors", integration}};
    fmt::print("{}", dump_json(json));
  } else if (scatters) {
    fmt::print("ln p(B) - ln p(A) is {:.3f} nats, standard error {:.3f}, over {} lines\n", mean,
               error, differences.size());
    fmt::print("integration error about {:.1e} nats a line, over {} points at most\n", off,
               summary.points);
  } else {
    fmt::print("ln p(B) - ln p(A) is {:.3f} nats along one line\n", mean);
    fmt::print(
        "no sampling error: an integral over {} points, nothing drawn; integration error about "
        "{:.1e} nats\n",
        summary.points, off);
  }
}

}  // namespace

Status check_table_name(const LikelihoodInput& input) {
  return input.table.empty() ? Status() : check_ending(kLikelihoodTable, "--table", input.table);
}

Status check_table_place(const LikelihoodInput& input) {
  return input.table.empty() ? Status()
                             : check_replaceable(kLikelihoodTable, "--table", input.table);
}

ImageNotes print_images() {
  return {.read = [](const std::string& text) { fmt::print(stderr, "{}\n", text); },
          .note = print_note};
}

Json first_json(const LikelihoodInput& input) { return input.first ? Json(*input.first) : Json(); }

std::string measured_text(const LikelihoodInput& input, size_t images, int64_t of) {
  const bool drawn = !input.first && input.num < of;
  return fmt::format("{} images{}", images, drawn ? fmt::format(", drawn from {},", of) : "");
}

std::string error_text(double error, size_t images) {
  return images > 1 ? fmt::format("{:.4f}", error) : std::string("unknown");
}

void add_bound_options(CLI::App& app, BoundRequest& request) {
  app.add_flag("--bound", request.wanted,
               "the variational bound of a discrete chain, split into L_T, L_t and L_0, with the "
               "rate-distortion table; --table and --picture hold all of it");
  app.add_option("--terms", request.settings.terms,
                 "bound: terms evaluated per image, each a random one of as many strata of "
                 "timesteps; 0: all")
      ->check(at_least(0))
      ->capture_default_str();
  app.add_option("--variance", request.variance,
                 with_choices("likelihood --variance",
                              "bound: variance of the reverse steps, in place of the model's"));
  app.add_option("--cdf", request.cdf,
                 with_choices("likelihood --cdf",
                              "bound: how the decoder's Gaussian is integrated over a byte"))
      ->capture_default_str();
  app.add_option("--picture", request.picture, "bound: FILE.png to draw rate and distortion in");
}

Status check_bound(const CLI::App& app, BoundRequest& request) {
  ITO_ASSIGN(request.settings.cdf, decoder_cdf_from_name(request.cdf));
  for (const char* option : {"--terms", "--variance", "--picture", "--cdf"})
    if (!request.wanted && app.count(option) > 0)
      return invalid_argument("{} is of the bound: it needs --bound", option);
  for (const char* option :
       {"--probe", "--probes", "--rtol", "--atol", "--max-evaluations", "--dequantize"})
    if (request.wanted && app.count(option) > 0)
      return invalid_argument("{} is of the flow's likelihood and has no meaning with --bound",
                              option);
  if (!request.picture.empty()) ITO_TRY(check_ending(kRatePicture, "--picture", request.picture));
  if (request.variance.empty()) return {};
  ITO_ASSIGN(request.settings.variance, variance_type_from_name(request.variance));
  return {};
}

Status run_bound(const LikelihoodInput& input, const BoundRequest& request) {
  const auto& [path, part, dataset, folder] = input.source;
  ITO_TRY(check_table_place(input));
  if (!request.picture.empty())
    ITO_TRY(check_replaceable(kRatePicture, "--picture", request.picture));
  ITO_ASSIGN(const Model model, open_scheduled_model(folder, input.variant));
  ITO_ASSIGN(const Shape image, bound_image(model));
  ITO_ASSIGN(const ImageDataset data, open_measured_images(input.source, image, print_images()));
  ITO_ASSIGN(const std::vector<int64_t> images, images_to_measure(data, input.first, input.num));
  ITO_ASSIGN(auto device,
             open_and_announce(input.device, fmt::format("bound of {} under {}", path, folder)));
  BoundSettings settings = request.settings;
  settings.batch = std::min(settings.batch, input.num);
  ITO_ASSIGN(auto session, BoundMeter::create(*device, model, settings));
  ProgressLine line;
  const std::atomic<bool>& stop = stop_requested();
  const MeasuringObserver observer{
      .progress =
          [&](const MeasuringProgress& now) {
            line.update(fmt::format("{} of {} images", now.done, now.count));
          },
      .stop = [&] { return stop.load(); }};
  ITO_ASSIGN(const Measured<ImageBound> measured, measure_images(*session, data, images, observer));
  line.finish();
  const std::vector<RateDistortion> curve = session->curve();
  if (!input.table.empty()) ITO_TRY(write_file_atomic(input.table, rate_distortion_table(curve)));
  if (!request.picture.empty()) {
    const Json settings = {{"software", "ito"}, {"model", folder}, {"data", path}};
    ITO_TRY(write_png(request.picture, draw_plot(rate_distortion_plot(curve, folder)), &settings));
  }
  print_bound(input, request, summarise(measured.items), curve, *session, measured.items.size(),
              data.count, measured.seconds, data.facts.part);
  return {};
}

void add_line_options(CLI::App& app, LineRequest& request) {
  app.add_option("--line", request.ends,
                 "two pictures, or two data sets of as many: ln p(B) - ln p(A) by integrating the "
                 "model's score along the lines between their images")
      ->expected(2);
  app.add_option("--class", request.label,
                 "line: the class that the densities are conditional on, by name or number");
}

Status run_line(const LikelihoodInput& input, const LineRequest& request) {
  const std::string& folder = input.source.model;
  const int64_t first = input.first.value_or(0);
  ITO_TRY(check_table_place(input));
  ITO_ASSIGN(const Model model, open_scheduled_model(folder, input.variant));
  ITO_ASSIGN(const ModelFlow flow, model_flow(model));
  const auto end = [&](const std::string& path) -> Result<LineEnd> {
    ImageSource source = input.source;
    source.path = path;
    ITO_ASSIGN(ImageDataset data, open_line_end(source, flow.image, print_images()));
    return LineEnd{.name = path, .data = std::move(data)};
  };
  ITO_ASSIGN(const LineEnd from, end(request.ends[0]));
  ITO_ASSIGN(const LineEnd to, end(request.ends[1]));
  std::optional<uint32_t> label;
  if (!request.label.empty()) {
    ITO_ASSIGN(label, class_called(request.label, folder, model));
  }
  ITO_ASSIGN(const ImagePairs pairs, pairs_of(from, to, flow, label, first, input.num));
  ITO_ASSIGN(auto device, open_and_announce(input.device,
                                            fmt::format("ln p from {} to {}", from.name, to.name)));
  ITO_ASSIGN(const std::vector<LogDensityDifference> lines,
             log_density_differences(*device, flow, pairs, flow.flow.start, request.ode,
                                     request.max_evaluations));
  if (!input.table.empty()) ITO_TRY(write_file_atomic(input.table, line_table(lines, first)));
  print_lines(input, request, lines);
  return {};
}

}  // namespace ito::apps
