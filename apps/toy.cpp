// ito toy: a score or energy model of a data set in the plane, trained and drawn.
#include "studies/toy.h"

#include <fmt/format.h>

#include "api/output_file.h"
#include "apps/choices.h"
#include "apps/command.h"
#include "apps/rows.h"
#include "base/error.h"
#include "base/registry.h"
#include "io/json.h"
#include "io/png.h"
#include "studies/toy_figure.h"

namespace ito::apps {
namespace {

struct ToyCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  ToyOptions options;
  std::string network = "score", out;
  bool json = false;
};

constexpr OutputFile kFigure = {".png", "ito toy", is_own_picture};

struct ToyNetwork {
  Name name;
  bool energy;
};
constexpr ToyNetwork kNetworks[] = {
    {{"score", "the network is the score", "Hyvärinen 2005", ""}, false},
    {{"energy", "the score is the network's gradient", "Song & Kingma 2021", ""}, true},
};

Status check(ToyCommand& c) {
  ITO_ASSIGN(const ToyNetwork* network,
             row_called(std::span<const ToyNetwork>(kNetworks), c.network, "--network"));
  c.options.energy = network->energy;
  ITO_TRY(toy_data(c.options.data));
  ITO_ASSIGN(const ToyObjective* objective, toy_objective(c.options.objective));
  if (c.app->count("--steps") == 0) c.options.steps = objective->default_steps();
  return check_ending(kFigure, "--out", c.out);
}

Json settings_of(const ToyCommand& c) {
  return {{"software", "ito"},
          {"data", c.options.data},
          {"objective", c.options.objective},
          {"network", c.network},
          {"steps", c.options.steps},
          {"batch", c.options.batch},
          {"hidden", c.options.hidden},
          {"lr", c.options.learning_rate},
          {"seed", c.options.seed}};
}

Json metrics_of(const ToyResult& result) {
  Json metrics = {{"final_loss", result.final_loss},
                  {"shown_sigma", result.shown_sigma},
                  {"energy_distance", result.energy_distance},
                  {"energy_distance_of_data", result.energy_distance_of_data},
                  {"density_method", result.density_method},
                  {"train_seconds", result.train_seconds},
                  {"seconds", result.seconds}};
  if (result.density_normalised) metrics["density_mass"] = result.density_mass;
  if (result.fisher_divergence) {
    metrics["fisher_divergence"] = *result.fisher_divergence;
    metrics["fisher_of_zero_score"] = *result.fisher_scale;
  }
  return metrics;
}

Status run(const ToyCommand& c) {
  ITO_TRY(check_replaceable(kFigure, "--out", c.out));
  const Path parent = Path(c.out).parent_path();
  if (!parent.empty()) ITO_TRY(make_folders(parent));
  ITO_ASSIGN(auto device,
             open_and_announce(
                 c.device, fmt::format("training a {} network on {} by {}, {} steps,", c.network,
                                       c.options.data, c.options.objective, c.options.steps)));
  ProgressLine line;
  const std::atomic<bool>& stop = stop_requested();
  ITO_ASSIGN(const ToyResult result, run_toy(*device, c.options, [&](const ToyProgress& progress) {
               line.update(progress.total > 1 ? fmt::format("{}  {} of {}", progress.stage,
                                                            progress.done, progress.total)
                                              : progress.stage);
               return !stop;
             }));
  line.finish();
  const Json settings = settings_of(c);
  ITO_TRY(write_png(c.out, draw_figure(toy_figure(c.options, result)), &settings));
  if (c.json) {
    Json json = {{"out", c.out}, {"settings", settings}, {"metrics", metrics_of(result)}};
    fmt::print("{}", dump_json(json));
    return {};
  }
  for (const std::string& text : toy_summary(result)) fmt::print("{}\n", text);
  fmt::print("wrote {}\n", c.out);
  return {};
}

}  // namespace

std::vector<Name> toy_network_choices() { return names_of(kNetworks); }

Command add_toy_command(CLI::App& root) {
  auto c = std::make_shared<ToyCommand>();
  CLI::App* app = root.add_subcommand(
      "toy", "Train a score or energy network on a data set in the plane and draw what it learnt");
  c->app = app;
  app->add_option("name", c->options.data, with_choices("toy NAME", "data set in the plane"))
      ->required();
  app->add_option("--out", c->out, ".png to write")->required();
  app->add_option("--objective", c->options.objective,
                  with_choices("toy --objective", "what the network learns by"))
      ->capture_default_str();
  app->add_option("--network", c->network, with_choices("toy --network", "what the network is"))
      ->capture_default_str();
  app->add_option("--steps", c->options.steps,
                  "training steps; 5000, or 2500 for an objective without noise levels")
      ->check(at_least(1));
  app->add_option("--batch", c->options.batch, "points per step")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--hidden", c->options.hidden, "width of the three hidden layers")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--lr", c->options.learning_rate, "largest learning rate")
      ->check(positive_number())
      ->capture_default_str();
  app->add_option("--seed", c->options.seed, "seed of weights, data and noise")
      ->capture_default_str();
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
