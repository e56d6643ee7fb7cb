// ito likelihood: bits per dimension of a data set under a model's probability flow; the two other
// measures are in apps/likelihood_bound.h.
#include "api/likelihood.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "api/likelihood_tables.h"
#include "api/measuring.h"
#include "apps/likelihood_bound.h"
#include "apps/open_model.h"
#include "apps/rows.h"
#include "base/error.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct LikelihoodCommand : LikelihoodInput {
  LikelihoodSettings settings;
  std::string probe = "rademacher";
  BoundRequest bound;
  LineRequest line;
  CLI::App* app = nullptr;
};

Status check(LikelihoodCommand& c) {
  ITO_TRY(row_called(measured_parts(), c.source.part, "--split"));
  ITO_ASSIGN(c.settings.likelihood.divergence, divergence_from_name(c.probe));
  ITO_TRY(check_ode_options(c.settings.ode));
  ITO_TRY(check_bound(*c.app, c.bound));
  ITO_TRY(check_table_name(c));
  ITO_ASSIGN(c.source.dataset, dataset_options(c.data_options, *c.app));
  if (c.line.ends.empty() && c.source.path.empty())
    return invalid_argument("--data is missing, the images whose likelihood is asked for");
  if (!c.line.ends.empty() && (c.bound.wanted || !c.source.path.empty()))
    return invalid_argument("--line takes its images from its two ends, without --data or --bound");
  if (c.line.ends.empty() && !c.line.label.empty()) return invalid_argument("--class needs --line");
  c.bound.settings.batch = c.settings.batch;
  c.bound.settings.seed = c.settings.seed;
  c.line.ode = c.settings.ode;
  c.line.max_evaluations = c.settings.max_evaluations;
  c.settings.batch = std::min(c.settings.batch, c.num);
  return {};
}

std::string measuring_text(const MeasuringProgress& now) {
  std::string text =
      fmt::format("{} of {} images, step {} of this batch", now.done, now.count, now.attempts);
  if (now.done == 0) return text;
  const double done = static_cast<double>(now.done);
  const double left = static_cast<double>(now.count - now.done);
  return text + fmt::format("  {:.2f} images/s  {} left", done / now.seconds,
                            duration_text(now.seconds * left / done));
}

void print(const LikelihoodCommand& c, const Measured<ImageLikelihood>& results,
           const LikelihoodMeter& session, const ImageDataset& data) {
  const LikelihoodSummary summary = summarise(results.items);
  const LikelihoodOptions& options = c.settings.likelihood;
  const bool exact = options.exact();
  if (c.json) {
    const Json json = {
        {"model", c.source.model},
        {"data", c.source.path},
        {"split", data.facts.part},
        {"first", first_json(c)},
        {"images", results.items.size()},
        {"interrupted", results.stopped},
        {"bits_per_dim", summary.mean},
        {"standard_error", results.items.size() > 1 ? Json(summary.standard_error) : Json()},
        {"probe_standard_error",
         options.columns() > 1 ? Json(summary.probe_standard_error) : Json()},
        {"log_density", summary.log_density},
        {"dimensions", session.dimensions()},
        {"dequantised", c.settings.dequantise},
        {"probe", c.probe},
        {"probes", exact ? 0 : options.probes},
        {"rtol", c.settings.ode.rtol},
        {"atol", c.settings.ode.atol},
        {"seed", c.settings.seed},
        {"evaluations", summary.evaluations},
        {"rejections", summary.rejections},
        {"seconds", results.seconds}};
    fmt::print("{}", dump_json(json));
    return;
  }
  fmt::print("{:.4f} bits/dim, standard error {}", summary.mean,
             error_text(summary.standard_error, results.items.size()));
  if (!exact && options.probes > 1)
    fmt::print(" (of which the probes: {:.4f})", summary.probe_standard_error);
  fmt::print(", over {} of {} dimensions{}\n", measured_text(c, results.items.size(), data.count),
             session.dimensions(), results.stopped ? " (stopped early)" : "");
  fmt::print("{:.1f} nats per image; {:.0f} evaluations and {:.1f} rejected steps per image; {}\n",
             summary.log_density, summary.evaluations, summary.rejections,
             duration_text(results.seconds));
}

Status run(const LikelihoodCommand& c) {
  if (c.bound.wanted) return run_bound(c, c.bound);
  if (!c.line.ends.empty()) return run_line(c, c.line);
  ITO_TRY(check_table_place(c));
  const auto& [path, part, dataset, folder] = c.source;
  ITO_ASSIGN(const Model model, open_scheduled_model(folder, c.variant));
  ITO_ASSIGN(const ModelFlow flow, model_flow(model));
  ITO_ASSIGN(const ImageDataset data, open_measured_images(c.source, flow.image, print_images()));
  ITO_ASSIGN(const std::vector<int64_t> images, images_to_measure(data, c.first, c.num));
  ITO_ASSIGN(auto device,
             open_and_announce(c.device, fmt::format("likelihood of {} under {}", path, folder)));
  ITO_ASSIGN(auto meter, LikelihoodMeter::create(*device, flow, c.settings));
  ProgressLine line;
  const std::atomic<bool>& stop = stop_requested();
  const MeasuringObserver observer{
      .progress = [&](const MeasuringProgress& now) { line.update(measuring_text(now)); },
      .stop = [&] { return stop.load(); }};
  ITO_ASSIGN(const Measured<ImageLikelihood> measured,
             measure_images(*meter, data, images, observer));
  line.finish();
  if (!c.table.empty()) ITO_TRY(write_file_atomic(c.table, likelihood_table(measured.items, data)));
  print(c, measured, *meter, data);
  return {};
}

}  // namespace

Command add_likelihood_command(CLI::App& root) {
  auto c = std::make_shared<LikelihoodCommand>();
  CLI::App* app =
      root.add_subcommand("likelihood", "Bits per dimension of images under a trained model");
  c->app = app;
  app->add_option("--model", c->source.model,
                  "model folder in diffusers' layout, or a run of `ito train`")
      ->required();
  add_variant_option(*app, c->variant);
  app->add_option("--data", c->source.path, "data set, as for `ito train`");
  app->add_option("--split", c->source.part,
                  with_choices("likelihood --split", "which part of the data set"))
      ->capture_default_str();
  add_data_options(*app, c->data_options);
  app->add_option("--first", c->first,
                  "the first of --num images in the data set's order; left out: they are drawn "
                  "from all, the same every time (line: the first of both ends)")
      ->check(at_least(0));
  app->add_option("--num", c->num, "number of images, if there are as many")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--probe", c->probe,
                  with_choices("likelihood --probe", "how the divergence is found"))
      ->capture_default_str();
  app->add_option("--probes", c->settings.likelihood.probes, "random vectors per image")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_option("--rtol", c->settings.ode.rtol, "relative tolerance of a step")
      ->check(positive_number())
      ->capture_default_str();
  app->add_option("--atol", c->settings.ode.atol, "absolute tolerance of a step")
      ->check(positive_number())
      ->capture_default_str();
  app->add_option("--max-evaluations", c->settings.max_evaluations,
                  "evaluations of the network after which an image is given up")
      ->check(at_least(8))
      ->capture_default_str();
  app->add_flag("--dequantize,!--no-dequantize", c->settings.dequantise,
                "add uniform noise to the bytes (the default)");
  app->add_option("--seed", c->settings.seed, "of that noise and of the probes")
      ->capture_default_str();
  app->add_option("--batch", c->settings.batch, "images computed together; changes no image")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  app->add_option("--table", c->table,
                  "FILE.csv to write with a row per image; bound: per timestep; line: per line");
  add_bound_options(*app, c->bound);
  add_line_options(*app, c->line);
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  app->footer(
      "Ctrl-C stops and reports the images measured so far. A model with classes is given each\n"
      "image's own class.");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
