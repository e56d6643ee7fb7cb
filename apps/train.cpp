// ito train: trains a diffusion model (or a classifier) into a run folder, and goes on with it.
#include <fmt/format.h>

#include "api/objectives.h"
#include "api/training_run.h"
#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/rows.h"
#include "base/error.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct TrainCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  TrainingOptions training;
  const ObjectiveRow* row = nullptr;  // that the options ask for
  RunOptions run;
  std::string data, out;
  DataOptions dataset;
  double holdout = 0.02;
  bool json = false;
};

// One option per field of TrainingOptions; a bool also gets --no-KEY.
struct AddOption {
  CLI::App& app;
  void operator()(const char* key, bool& field, const char* help) const {
    app.add_flag(fmt::format("--{0},!--no-{0}", key), field, help)->capture_default_str();
  }
  void operator()(const char* key, std::vector<int>& field, const char* help) const {
    app.add_option(fmt::format("--{}", key), field, help)->delimiter(',')->capture_default_str();
  }
  template <typename T>
  void operator()(const char* key, T& field, const char* help) const {
    const std::string name = fmt::format("--{}", key);
    app.add_option(name, field, with_choices("train " + name, help))->capture_default_str();
  }
};

Status check(TrainCommand& c) {
  visit_fields(c.training, [&](const char* key, auto&, const char*) {
    if (c.app->count(fmt::format("--{}", key)) > 0) c.run.given.insert(key);
  });
  ITO_ASSIGN(c.row, objective_of(c.training));
  if (c.row->defaults != nullptr) c.row->defaults(c.training, c.run.given);
  if (c.run.sample_every > 0 && !c.row->samples)
    return invalid_argument("--sample-every has no meaning for a {}", c.row->name.name);
  ITO_ASSIGN(c.run.dataset, dataset_options(c.dataset, *c.app));
  c.run.dataset.seed = c.training.seed;
  c.run.dataset_given = data_options_given(*c.app);
  if (c.app->count("--holdout") > 0) {
    if (!(c.holdout > 0 && c.holdout <= 0.5))
      return invalid_argument("--holdout is {}, expected a share above 0 and at most 0.5",
                              c.holdout);
    c.run.holdout = c.holdout;
  }
  c.run.data = c.data;
  c.run.out = c.out;
  ITO_TRY(check_training_options(c.training));
  // A contradiction with the run in --out is wrong usage; a damaged run is a failure, and shows
  // when the run is entered.
  if (c.run.fresh) return {};
  const auto stored = stored_options(c.run.out);
  if (stored.ok() && *stored)
    ITO_TRY(resumed_options(**stored, c.training, c.run.given, c.run.out.string()));
  return {};
}

std::string progress_text(const RunProgress& p) {
  return fmt::format("step {}/{}  loss {}  {:.2f} steps/s  {:.0f} images/s  {} left", p.step,
                     p.steps, p.loss ? fmt::format("{:.4f}", *p.loss) : "-", p.steps_per_second,
                     p.images_per_second, duration_text(p.seconds_left));
}

void print_summary(const TrainCommand& c, const RunSummary& s) {
  if (c.json) {
    Json json = {{"step", s.step},       {"first_step", s.first_step}, {"stopped", s.stopped},
                 {"seconds", s.seconds}, {"device", s.device},         {"out", c.out},
                 {"data", s.data}};
    if (!s.validated_on.is_null()) json["validated_on"] = s.validated_on;
    if (s.loss) json["loss"] = *s.loss;
    if (s.validation) json[s.metric] = *s.validation;
    fmt::print("{}", dump_json(json));
    return;
  }
  if (s.stopped) {
    fmt::print("stopped and saved at step {}; run the same command again to go on\n", s.step);
  } else if (s.first_step >= c.run.steps) {
    fmt::print("already done: the run in {} has {} steps; ask for more with --steps\n", c.out,
               s.step);
  } else {
    fmt::print("done: {} steps in {}, the model is in {}\n", s.step, duration_text(s.seconds),
               c.out);
  }
}

Status run(TrainCommand& c) {
  ITO_ASSIGN(auto device,
             open_and_announce(
                 c.device, fmt::format("training ({}) on the images of {} until step {}, into {},",
                                       c.row->name.help, c.data, c.run.steps, c.out)));
  ProgressLine line;
  RunObserver observer;
  observer.stop = &stop_requested();
  observer.note = [&](const std::string& text) { line.note(text); };
  observer.progress = [&](const RunProgress& progress) { line.update(progress_text(progress)); };
  ITO_ASSIGN(const RunSummary summary, run_training(*device, c.training, c.run, observer));
  line.finish();
  print_summary(c, summary);
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
  app->add_option("--steps", c->run.steps, "steps in all, those of earlier calls included")
      ->check(at_least(1))
      ->capture_default_str();
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
  add_data_options(*app, c->dataset);
  visit_fields(c->training, AddOption{*app});
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print the summary as JSON");
  app->footer(
      "Ctrl-C saves a checkpoint and ends; the same command goes on from it, bit for bit on the\n"
      "same device. Options of the network and the optimiser are kept in RUN/run.json, so they "
      "may\n"
      "be left out then; other values for them are refused.");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
