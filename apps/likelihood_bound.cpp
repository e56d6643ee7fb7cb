#include "apps/likelihood_bound.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/likelihood.h"
#include "api/measuring.h"
#include "api/run_data.h"
#include "apps/open_model.h"
#include "apps/rows.h"
#include "base/error.h"
#include "base/integer.h"
#include "io/class_names.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "plots/plot.h"
#include "statistics/mean.h"

namespace ito::apps {
namespace {

constexpr int kRowsPrinted = 12;  // of the rate-distortion table on a terminal

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

Status write_curve(const LikelihoodInput& input, const BoundRequest& request,
                   const std::vector<RateDistortion>& curve) {
  if (!input.table.empty()) {
    std::string text =
        "timestep,term,standard_error,rate,rate_standard_error,distortion,"
        "distortion_standard_error\n";
    for (const RateDistortion& row : curve)
      text +=
          fmt::format("{},{:.6f},{:.6f},{:.6f},{:.6f},{:.4f},{:.4f}\n", row.timestep, row.term.mean,
                      row.term.standard_error, row.rate.mean, row.rate.standard_error,
                      row.distortion.mean, row.distortion.standard_error);
    ITO_TRY(write_file_atomic(input.table, text));
  }
  if (request.picture.empty()) return {};
  Series series{.name = "", .x = {}, .y = {}};
  for (const RateDistortion& row : curve) {
    series.x.push_back(row.rate.mean);
    series.y.push_back(row.distortion.mean);
  }
  const Plot plot{.title = "rate and distortion of " + input.model,
                  .x_label = "rate (bits/dim)",
                  .y_label = "distortion (RMSE, 0 to 255)",
                  .series = {series}};
  return write_png(request.picture, draw_plot(plot));
}

void print_bound(const LikelihoodInput& input, const BoundRequest& request,
                 const BoundSummary& summary, const std::vector<RateDistortion>& curve,
                 const BoundMeter& session, size_t images, double seconds,
                 const std::string& part) {
  if (input.json) {
    const Json json = {{"model", input.model},
                       {"data", input.data},
                       {"split", part},
                       {"first", input.first},
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
  fmt::print("bound        {} bits/dim, over {} images of {} dimensions\n", text(summary.total),
             images, session.dimensions());
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

bool is_picture(const std::string& path) {
  return picture_format_of_ending(Path(path).extension().string()) != nullptr;
}

// The images of one end of lines.
Result<ImageDataset> open_end(const LikelihoodInput& input, const std::string& path,
                              const ModelFlow& flow) {
  if (!is_picture(path)) return open_images(input, path, flow.image[0], flow.image[1]);
  ITO_ASSIGN(const Image image,
             read_image(path, flow.image[2] == 1 ? 1 : 3, input.dataset.background));
  ImageDataset data;
  data.count = 1;
  data.h = image.h;
  data.w = image.w;
  data.c = image.c;
  data.pixels = image.pixels;
  return data;
}

Status check_end(const std::string& path, const ImageDataset& data, const ModelFlow& flow) {
  if (data.h != flow.image[0] || data.w != flow.image[1] || data.c != flow.image[2])
    return invalid_argument("the images in {} are {}x{}x{}, the model expects {}x{}x{}", path,
                            data.h, data.w, data.c, flow.image[0], flow.image[1], flow.image[2]);
  return {};
}

// The class that the densities of pair i are conditional on.
Result<uint32_t> label_of(const std::optional<uint32_t>& asked, const ImageDataset& a,
                          const ImageDataset& b, int64_t i) {
  if (asked) return *asked;
  const size_t at = static_cast<size_t>(i);
  if (!a.labels || !b.labels || (*a.labels)[at] != (*b.labels)[at])
    return invalid_argument(
        "the model has classes and the ends of line {} have not one label in common; say which "
        "class with --class",
        i);
  return static_cast<uint32_t>((*a.labels)[at]);
}

Status write_lines(const LikelihoodInput& input,
                   const std::vector<LogDensityDifference>& differences) {
  if (input.table.empty()) return {};
  std::string text = "line,difference,integration_error,points\n";
  for (size_t i = 0; i < differences.size(); ++i)
    text +=
        fmt::format("{},{:.6f},{:.2e},{}\n", input.first + static_cast<int64_t>(i),
                    differences[i].value, differences[i].integration_error, differences[i].points);
  return write_file_atomic(input.table, text);
}

void print_lines(const LikelihoodInput& input, const LineRequest& request,
                 const std::vector<LogDensityDifference>& differences) {
  std::vector<double> values, integration;
  uint32_t points = 0;  // of the line that took the most
  for (const LogDensityDifference& line : differences) {
    values.push_back(line.value);
    integration.push_back(line.integration_error);
    points = std::max(points, line.points);
  }
  const auto [mean, error] = mean_and_error(values);
  const double off = mean_and_error(integration).mean;
  const bool scatters = differences.size() > 1;
  if (input.json) {
    const Json json = {
        {"model", input.model},     {"from", request.ends[0]},
        {"to", request.ends[1]},    {"lines", differences.size()},
        {"difference", mean},       {"standard_error", scatters ? Json(error) : Json()},
        {"integration_error", off}, {"points", points},
        {"differences", values},    {"integration_errors", integration}};
    fmt::print("{}", dump_json(json));
  } else if (scatters) {
    fmt::print("ln p(B) - ln p(A) is {:.3f} nats, standard error {:.3f}, over {} lines\n", mean,
               error, differences.size());
    fmt::print("integration error {:.1e} nats at most, {} points a line at most\n", off, points);
  } else {
    fmt::print("ln p(B) - ln p(A) is {:.3f} nats along one line\n", mean);
    fmt::print(
        "no sampling error: an integral over {} points, nothing drawn; integration error {:.1e} "
        "nats at most\n",
        points, off);
  }
}

constexpr LikelihoodSplit kSplits[] = {
    {{"train", "images to train on", "", ""},
     false,
     [](const LikelihoodInput& input, const std::string& path) {
       return open_dataset(path, Split::kTrain, input.dataset);
     }},
    {{"test", "images to test on, or all where no part is for that", "", ""},
     true,
     [](const LikelihoodInput& input, const std::string& path) {
       return open_dataset(path, Split::kTest, input.dataset);
     }},
    {{"held-out", "images that the run in --model held out of the data set", "", ""},
     true,
     [](const LikelihoodInput& input, const std::string& path) {
       return open_held_out(input.model, path);
     }},
};

}  // namespace

std::span<const LikelihoodSplit> likelihood_splits() { return kSplits; }

std::string error_text(double error, size_t images) {
  return images > 1 ? fmt::format("{:.4f}", error) : std::string("unknown");
}

Result<ImageDataset> open_images(const LikelihoodInput& input, const std::string& path, int64_t h,
                                 int64_t w) {
  ITO_ASSIGN(const LikelihoodSplit* row, row_called(likelihood_splits(), input.split, "--split"));
  ITO_ASSIGN(ImageDataset data, row->open(input, path));
  fmt::print(stderr, "{}\n", describe(data, "images"));
  for (const std::string& text : data.facts.notes) fmt::print(stderr, "note: {}\n", text);
  if (data.facts.part == "all" && row->of_its_own)
    fmt::print(stderr, "note: {} has no test part; all its images are taken\n", path);
  ITO_ASSIGN(const std::optional<ClassNames> names, read_class_names(input.model));
  ITO_TRY(match_classes(data, names));
  if (data.h > h || data.w > w)
    return invalid_argument(
        "the images in {} are {} wide and {} high, the model's {} and {}; --resize {} makes them "
        "so, cut or, with --pad, surrounded",
        path, data.w, data.h, w, h, w == h ? std::to_string(w) : fmt::format("{}x{}", w, h));
  return pad_to(data, static_cast<int>(h), static_cast<int>(w), 0);
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

Status check_bound(BoundRequest& request) {
  ITO_ASSIGN(request.settings.cdf, decoder_cdf_from_name(request.cdf));
  if (!request.wanted) {
    if (!request.variance.empty() || !request.picture.empty() || request.settings.terms != 0)
      return invalid_argument("--terms, --variance and --picture need --bound");
    return {};
  }
  if (request.variance.empty()) return {};
  ITO_ASSIGN(request.settings.variance, variance_type_from_name(request.variance));
  return {};
}

Status run_bound(const LikelihoodInput& input, const BoundRequest& request) {
  ITO_ASSIGN(const Model model, open_scheduled_model(input.model, input.variant));
  ITO_ASSIGN(auto device, open_and_announce(input.device, fmt::format("bound of {} under {}",
                                                                      input.data, input.model)));
  BoundSettings settings = request.settings;
  settings.batch = std::min(settings.batch, input.num);
  ITO_ASSIGN(auto session, BoundMeter::create(*device, model, settings));
  ITO_ASSIGN(const ImageDataset data,
             open_images(input, input.data, session->height(), session->width()));
  if (input.first >= data.count)
    return invalid_argument("--first is {}, but {} has {} {}", input.first, input.data, data.count,
                            kind_of_images(data));
  const int64_t count = std::min(input.num, data.count - input.first);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  ProgressLine line;
  const std::atomic<bool>& stop = stop_requested();
  const auto measure_batch = [&](std::span<const int64_t> part,
                                 int64_t done) -> Result<std::vector<ImageBound>> {
    if (stop.load()) return interrupted("the bound was stopped");
    line.update(fmt::format("{} of {} images", done, count));
    return session->measure(data, part);
  };
  ITO_ASSIGN(const Measured<ImageBound> measured,
             measure_all<ImageBound>(input.first, count, session->batch(), measure_batch));
  const std::vector<ImageBound>& images = measured.items;
  line.finish();
  const std::vector<RateDistortion> curve = session->curve();
  ITO_TRY(write_curve(input, request, curve));
  print_bound(input, request, summarise(images), curve, *session, images.size(), elapsed(),
              data.facts.part);
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
  ITO_ASSIGN(const Model model, open_scheduled_model(input.model, input.variant));
  ITO_ASSIGN(const ModelFlow flow, model_flow(model));
  const std::string &from = request.ends[0], &to = request.ends[1];
  ITO_ASSIGN(const ImageDataset a, open_end(input, from, flow));
  ITO_ASSIGN(const ImageDataset b, open_end(input, to, flow));
  ITO_TRY(check_end(from, a, flow));
  ITO_TRY(check_end(to, b, flow));
  const int64_t count = std::min(input.num, a.count - input.first);
  if (count < 1 || b.count < input.first + count)
    return invalid_argument("{} has {} images and {} has {}, expected {} more than --first in both",
                            from, a.count, to, b.count, std::max<int64_t>(count, 1));
  ITO_ASSIGN(auto device,
             open_and_announce(input.device, fmt::format("ln p from {} to {}", from, to)));
  const auto floats = [&](const ImageDataset& data) {
    std::vector<float> values;
    for (int64_t i = input.first; i < input.first + count; ++i)
      for (const uint8_t value : data.bytes_of(i))
        values.push_back(static_cast<float>(value / 127.5 - 1));
    return values;
  };
  std::optional<uint32_t> asked;
  if (!request.label.empty()) {
    ITO_ASSIGN(asked, class_called(request.label, input.model, model));
  }
  std::vector<uint32_t> labels;
  for (int64_t i = 0; i < count && flow.classes > 0; ++i) {
    ITO_ASSIGN(const uint32_t label, label_of(asked, a, b, input.first + i));
    labels.push_back(label);
  }
  ITO_ASSIGN(const std::vector<LogDensityDifference> differences,
             log_density_differences(*device, flow, floats(a), floats(b), labels, flow.flow.start,
                                     request.ode, request.max_evaluations));
  ITO_TRY(write_lines(input, differences));
  print_lines(input, request, differences);
  return {};
}

}  // namespace ito::apps
