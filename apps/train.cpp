// ito train: trains a diffusion model (or a classifier) into a run folder, and goes on with it.
#include <fmt/format.h>

#include <algorithm>

#include "api/initial_model.h"
#include "api/objectives.h"
#include "api/run_file.h"
#include "api/training_run.h"
#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/open_model.h"
#include "apps/option_table.h"
#include "apps/ranks_options.h"
#include "base/error.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct TrainCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  std::shared_ptr<RanksChoice> ranks = std::make_shared<RanksChoice>();
  TrainingOptions training;
  const ObjectiveRow* row = nullptr;  // that the options ask for
  RunOptions run;
  std::string data, out;
  DataOptions dataset;
  VariantChoice variant;
  double holdout = 0.02;
  std::vector<std::string> notes = {};  // on the model of --init, as it was read
  bool json = false;
};

// As people know them elsewhere.
constexpr OptionAlias kAliases[] = {{"ema", "ema-decay"}, {"lr-decay", "decay"}};

// The options of what is there to start from: the run in --out, or the model of --init.
Status settle_start(TrainCommand& c) {
  c.run.data = c.data;
  c.run.out = c.out;
  if (!c.run.fresh) {
    // A contradiction with the run is wrong usage; a damaged run is a failure, and shows when the
    // run is entered.
    const auto stored = read_run_file(c.run.out);
    if (stored.ok() && *stored) {
      ITO_TRY(check_same_start(**stored, c.run.init, c.run.out));
      ITO_ASSIGN(c.training,
                 resumed_options((*stored)->options, c.training, c.run.given, c.run.out.string()));
      return {};
    }
  }
  if (!c.run.init.empty()) {
    ITO_ASSIGN(InitialModel initial, open_initial_model(c.run.init, c.variant.name));
    c.notes = initial.model.notes;
    for (const std::string& text : c.notes)
      if (c.ranks->ranks.first()) print_note(text);
    ITO_ASSIGN(c.training, options_of_model(initial, c.training, c.run.given));
    c.run.initial = std::make_shared<const InitialModel>(std::move(initial));
    return {};
  }
  return set_defaults(c.training, c.run.given);
}

Status check(TrainCommand& c) {
  visit_fields(c.training, [&](const char* key, auto&, const char*) {
    if (c.app->count(option_name(key)) > 0) c.run.given.insert(key);
  });
  visit_pace(c.run, [&](const char* key, auto&) {
    if (c.app->count(std::string("--") + key) > 0) c.run.given.insert(key);
  });
  if (c.run.epochs > 0) c.run.given.insert("steps");  // which they stand for
  ITO_TRY(settle_start(c));
  ITO_ASSIGN(c.row, objective_of(c.training));
  if (c.run.sample_every > 0 && !c.row->samples)
    return invalid_argument("--sample-every has no meaning for a {}", c.row->name.name);
  ITO_ASSIGN(c.run.dataset, dataset_options(c.dataset, *c.app, true));
  c.run.dataset_given = data_options_given(*c.app);
  if (c.app->count("--holdout") > 0) {
    if (!(c.holdout > 0 && c.holdout <= 0.5))
      return invalid_argument("--holdout is {}, expected a share above 0 and at most 0.5",
                              c.holdout);
    c.run.holdout = c.holdout;
  }
  if (!(c.run.epochs >= 0) || !(c.run.max_hours >= 0) || c.run.epochs > 1e9)
    return invalid_argument("--epochs is {} and --max-hours {}, expected positive numbers",
                            c.run.epochs, c.run.max_hours);
  return check_training_options(c.training);
}

std::string progress_text(const RunProgress& p) {
  const std::string scale =
      p.loss_scale ? fmt::format("  scale {:g}, {} skipped", *p.loss_scale, p.skipped) : "";
  const std::string ranks = p.ranks > 1 ? fmt::format("  {} ranks", p.ranks) : "";
  return fmt::format("step {}/{}  loss {}{}  {:.2f} steps/s  {:.0f} images/s{}  {} left", p.step,
                     p.steps, p.loss ? fmt::format("{:.4f}", *p.loss) : "-", scale,
                     p.steps_per_second, p.images_per_second, ranks, duration_text(p.seconds_left));
}

void print_summary(const TrainCommand& c, const RunSummary& s) {
  if (c.json) {
    Json json = {{"step", s.step},       {"first_step", s.first_step}, {"stopped", s.stopped},
                 {"seconds", s.seconds}, {"device", s.device},         {"out", c.out},
                 {"data", s.data}};
    json["notes"] = c.notes;
    for (const std::string& text : s.notes) json["notes"].push_back(text);
    if (!s.validated_on.is_null()) json["validated_on"] = s.validated_on;
    if (s.loss) json["loss"] = *s.loss;
    if (s.loss_scale) {
      json["loss_scale"] = *s.loss_scale;
      json["skipped_steps"] = s.skipped;
    }
    if (s.validation) json[s.metric] = *s.validation;
    if (s.ranks > 1) {
      const auto steps = static_cast<double>(std::max<int64_t>(1, s.step - s.first_step));
      json["ranks"] = s.ranks;
      json["rank_seconds_per_step"] = s.costs.seconds / steps;
      json["rank_bytes_per_step"] = static_cast<double>(s.costs.bytes) / steps;
    }
    fmt::print("{}", dump_json(json));
    return;
  }
  if (s.stopped) {
    fmt::print("stopped and saved at step {}; run the same command again to go on\n", s.step);
  } else if (s.first_step >= s.steps) {
    fmt::print("already done: the run in {} has {} steps; ask for more with --steps\n", c.out,
               s.step);
  } else {
    fmt::print("done: {} steps in {}, the model is in {}\n", s.step, duration_text(s.seconds),
               c.out);
  }
}

std::string end_text(const TrainCommand& c) {
  if (c.run.epochs == 0) return fmt::format("step {}", c.run.steps);
  return fmt::format("the end of epoch {}", c.run.epochs);
}

Status run(TrainCommand& c) {
  std::unique_ptr<vk::Device> device;
  const DeviceOpener open = [&]() -> Result<vk::Device*> {
    ITO_ASSIGN(device, open_device_of_rank(
                           *c.ranks, c.device,
                           fmt::format("training ({}) on the images of {} until {}, into {},",
                                       c.row->name.help, c.data, end_text(c), c.out)));
    return device.get();
  };
  const Ranks& ranks = c.ranks->ranks;
  c.run.ranks = ranks;
  ProgressLine line(ranks.first());
  RunObserver observer;
  observer.stop = &stop_requested();
  observer.note = [&](const std::string& text) { line.note(text); };
  observer.progress = [&](const RunProgress& progress) { line.update(progress_text(progress)); };
  ITO_ASSIGN(const RunSummary summary, run_training(open, c.training, c.run, observer));
  line.finish();
  if (ranks.first()) print_summary(c, summary);
  return {};
}

}  // namespace

Command add_train_command(CLI::App& root) {
  auto c = std::make_shared<TrainCommand>();
  CLI::App* app = root.add_subcommand(
      "train", "Train a model on a folder of images; run again with the same --out to go on");
  c->app = app;
  app->add_option(
         "--data", c->data,
         "images: a folder with MNIST's IDX files, CIFAR's batches or pictures (in one folder "
         "per class), or an .npy, .npz or .safetensors file")
      ->required();
  app->add_option("--out", c->out, "run folder; made if it does not exist")->required();
  CLI::Option* steps =
      app->add_option("--steps", c->run.steps,
                      "steps in all, those of earlier calls included; left out, a run that goes "
                      "on has its own")
          ->check(at_least(1))
          ->capture_default_str();
  app->add_option("--epochs", c->run.epochs,
                  "passes over the training images, in place of --steps; may be a fraction")
      ->check(positive_number())
      ->excludes(steps);
  app->add_option("--max-hours", c->run.max_hours,
                  "save and end after this long; the same command goes on from there")
      ->check(positive_number());
  app->add_option("--init", c->run.init,
                  "model folder to start from: its network, scheduler and prediction are kept, as "
                  "far as other options do not say otherwise");
  add_variant_option(*app, c->variant, "--init");
  app->add_option("--checkpoint-every", c->run.checkpoint_every, "steps between checkpoints")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--keep", c->run.keep, "newest checkpoints to keep")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--sample-every", c->run.sample_every, "steps between sample grids; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option(
         "--validate", c->run.validate_every,
         "steps between validations on the test images, or on held-out ones, and one at the "
         "end; 0: none (a "
         "classifier is always tested at the end)")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--log-every", c->run.log_every, "steps per row of metrics.jsonl")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_flag("--fresh", c->run.fresh, "start over: removes the run in --out first");
  app->add_option(
         "--holdout", c->holdout,
         "share of the training images, at least 256, to validate on where the data have no "
         "test part")
      ->capture_default_str();
  add_data_options(*app, c->dataset, true);
  visit_fields(c->training, AddOption{.app = *app, .command = "train", .aliases = kAliases});
  add_device_option(*app, c->device);
  add_devices_option(*app, *c->ranks, "trains on");
  app->add_flag("--json", c->json, "print the summary as JSON");
  app->footer(
      "Ctrl-C saves a checkpoint and ends; the same command goes on from it, bit for bit on the\n"
      "same device. Options are kept in RUN/run.json, so they may be left out then; other values\n"
      "are refused, but for how long a run is, how often something is done in it, --keep, the "
      "fall\n"
      "of the learning rate, --precision and --microbatch. Weights do not depend on how many "
      "ranks\n"
      "train (1, 2, 4, ...: --devices, or mpirun), which may change from call to call.");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }, {}, c->ranks};
}

}  // namespace ito::apps
