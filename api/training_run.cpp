#include "api/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "api/model.h"
#include "api/run_folder.h"
#include "api/run_pictures.h"
#include "api/training.h"
#include "api/validation.h"
#include "base/error.h"
#include "base/hash.h"
#include "io/checkpoint.h"
#include "io/class_names.h"
#include "io/dataset.h"
#include "io/jsonl.h"

namespace ito {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kHoldOut = 0.02;
constexpr int64_t kLeastHeldOut = 256;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string fingerprint(const ImageDataset& data) {
  const auto text = [](const void* bytes, size_t size) {
    return std::string_view(static_cast<const char*>(bytes), size);
  };
  uint64_t hash = hash_bytes(text(data.pixels.data(), data.pixels.size()));
  if (data.labels)
    hash = hash_bytes(text(data.labels->data(), data.labels->size() * sizeof(int32_t)), hash);
  if (!data.floats.empty())
    hash = hash_bytes(text(data.floats.data(), data.floats.size() * sizeof(float)), hash);
  return fmt::format("{:016x}", hash);
}

// How the data of a run are read and split: as its run.json says, or as this call asks.
struct DataChoice {
  DatasetOptions options;
  std::optional<int64_t> held_out;  // of a run that goes on
};

Result<DataChoice> data_choice(const RunOptions& run) {
  DataChoice choice{run.dataset, {}};
  if (run.fresh) return choice;
  ITO_ASSIGN(const std::vector<int64_t> steps, checkpoint_steps(run.out));
  if (steps.empty()) return choice;
  const Path file = run.out / kRunFile;
  ITO_ASSIGN(const Json json, read_json(file));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, file.string()));
  int64_t held_out = 0;
  ITO_TRY(object.read("held_out", &held_out));
  choice.held_out = held_out;
  const Json* stored = object.find("dataset");
  choice.options = {};
  if (stored != nullptr) {
    ITO_ASSIGN(choice.options, dataset_options_from_json(*stored, file.string() + ": dataset"));
  }
  DatasetOptions asked = run.dataset;
  asked.seed = choice.options.seed;  // --seed is compared with the other options
  if (run.dataset_given && asked != choice.options)
    return invalid_argument(
        "the options that say how the images are read contradict the run in {}, which has {}; "
        "leave "
        "them out to go on with that run, or use another --out, or --fresh to start over",
        run.out.string(), dump_json_line(dataset_options_json(choice.options)));
  return choice;
}

// One run under way; run() is the loop.
class Run {
 public:
  Run(vk::Device& device, TrainingOptions options, const RunOptions& run,
      const RunObserver& observer)
      : device_(device), options_(std::move(options)), run_(run), observer_(observer) {}

  Status open();
  Status train();
  RunSummary summary() const { return summary_; }

 private:
  Status open_data();
  Status open_validation(const DataChoice& choice);
  void say_what_was_read(const ImageDataset& data) const;
  Status open_folder();
  // The right to write into a folder that is there.
  Status take_folder();
  Status export_model(const Path& folder);
  Status take_reports(bool wait);
  Status validate();
  Status save();
  Status write_pictures(bool samples);
  void report_progress();
  bool due(int64_t every) const { return every > 0 && session_->step() % every == 0; }
  void note(const std::string& text) const {
    if (observer_.note) observer_.note(text);
  }

  vk::Device& device_;
  TrainingOptions options_;
  const RunOptions& run_;
  const RunObserver& observer_;
  DatasetOptions dataset_;
  std::string fingerprint_;  // of all images, those held out included
  int64_t held_out_ = 0;
  ImageDataset data_, test_data_;
  TrainingTask task_;
  std::unique_ptr<TrainingSession> session_;
  std::unique_ptr<Validator> validator_;
  std::unique_ptr<SampleGrid> grid_;
  std::optional<JsonlWriter> metrics_;
  std::optional<FileLock> lock_;
  RunSummary summary_;
  int64_t reported_ = 0;  // step of the last report asked for
  int64_t saved_ = -1;    // step of the last checkpoint written here
  double earlier_seconds_ = 0;
  Clock::time_point start_;
  double paused_ = 0;  // seconds of start_.. that were not training
};

Status Run::open_data() {
  ITO_ASSIGN(const DataChoice choice, data_choice(run_));
  dataset_ = choice.options;
  ITO_ASSIGN(data_, open_dataset(run_.data, Split::kTrain, dataset_));
  if (data_.count < 1) return invalid_argument("{} has no images", run_.data.string());
  fingerprint_ = fingerprint(data_);
  ITO_ASSIGN(task_, make_task(options_, data_));
  const Validation& validation = task_.objective.validation;
  if (run_.validate_every > 0 && !validation.make)
    return invalid_argument("--validate is {}, but {}: leave it out", run_.validate_every,
                            validation.why_not);
  ITO_TRY(open_validation(choice));
  say_what_was_read(data_);
  summary_.data = facts_json(data_);
  if (test_data_.count > 0) {
    say_what_was_read(test_data_);
    summary_.validated_on = facts_json(test_data_);
  }
  return {};
}

void Run::say_what_was_read(const ImageDataset& data) const {
  note(describe(data, kind_of_images(data)));
  for (const std::string& text : data.facts.notes) note("note: " + text);
}

// The images to validate on: the test part, or some that are not trained on, or as a last resort
// some that are.
Status Run::open_validation(const DataChoice& choice) {
  const bool wanted = run_.validate_every > 0 || task_.objective.validation.at_the_end;
  const bool asked = run_.holdout && !choice.held_out;
  if (!wanted && !asked && choice.held_out.value_or(0) == 0) return {};
  ITO_ASSIGN(std::optional<ImageDataset> test, open_test_images(run_.data, dataset_));
  if (test) {
    if (asked)
      return invalid_argument("--holdout is {}, but {} has {}: leave it out", *run_.holdout,
                              run_.data.string(), kind_of_images(*test));
    if (wanted) test_data_ = std::move(*test);
    return {};
  }
  std::optional<ImageDataset> held;
  if (choice.held_out) {
    if (*choice.held_out > 0) held = hold_out(data_, 0, *choice.held_out);
  } else {
    const double share = run_.holdout.value_or(kHoldOut);
    held = hold_out(data_, share, kLeastHeldOut);
    if (!held && asked) held = hold_out(data_, share, 1);
  }
  if (held) {
    held_out_ = held->count;
    // What is measured on the data is measured on those that are trained on.
    ITO_ASSIGN(task_, make_task(options_, data_));
    if (wanted) test_data_ = std::move(*held);
    return {};
  }
  if (!wanted) return {};
  test_data_ = data_;
  test_data_.facts.notes = {
      fmt::format("{} has no test part and {}: the validation is on images that are trained on",
                  run_.data.string(),
                  choice.held_out ? std::string("the run was begun with all images")
                                  : fmt::format("too few images to hold {} out", kLeastHeldOut))};
  return {};
}

// Makes the folder, clears what a killed run left half-written, and writes run.json for a new run;
// loads the newest checkpoint of an old one.
Status Run::open_folder() {
  ITO_TRY(make_folders(run_.out));
  ITO_TRY(take_folder());
  for (const Path& folder : {run_.out, run_.out / "unet", run_.out / "scheduler"})
    ITO_TRY(remove_temporaries(folder));
  const Path file = run_.out / kRunFile;
  const std::string& hash = fingerprint_;
  ITO_ASSIGN(std::optional<Checkpoint> checkpoint, load_latest_checkpoint(run_.out, device_.log()));
  if (!checkpoint) {
    const Json json = {{"options", to_json(options_)}, {"data", run_.data.string()},
                       {"data_fingerprint", hash},     {"dataset", dataset_options_json(dataset_)},
                       {"held_out", held_out_},        {"parameters", task_.network.set().count()}};
    ITO_TRY(write_file_atomic(file, dump_json(json)));
    ITO_ASSIGN(metrics_, JsonlWriter::open(run_.out / kMetricsFile, std::nullopt));
    return {};
  }
  ITO_ASSIGN(const Json json, read_json(file));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, file.string()));
  std::string stored_hash;
  ITO_TRY(object.read("data_fingerprint", &stored_hash));
  if (stored_hash != hash)
    return invalid_argument("the images in {} are not those that the run in {} was trained on",
                            run_.data.string(), run_.out.string());
  ITO_TRY(remove_checkpoints_after(run_.out, checkpoint->step));
  ITO_TRY(session_->load(checkpoint->state, checkpoint->step));
  ITO_ASSIGN(JsonObject metadata,
             JsonObject::open(checkpoint->metadata, checkpoint->folder.string()));
  std::string device;
  ITO_TRY(metadata.read("seconds", &earlier_seconds_));
  ITO_TRY(metadata.read("device", &device));
  if (device != device_.info().name)
    note("the run began on " + device + "; on another device it goes on, but not bit for bit");
  ITO_ASSIGN(metrics_, JsonlWriter::open(run_.out / kMetricsFile, checkpoint->step));
  saved_ = checkpoint->step;
  return {};
}

Status Run::take_folder() {
  if (lock_ || !folder_exists(run_.out)) return {};
  ITO_TRY(check_run_folder(run_.out));
  ITO_ASSIGN(lock_, lock_run_folder(run_.out));
  return {};
}

Status Run::open() {
  ITO_TRY(take_folder());
  ITO_TRY(open_data());
  ITO_ASSIGN(session_, TrainingSession::create(device_, task_, data_, options_.seed));
  if (run_.fresh) ITO_TRY(remove_run(run_.out));  // not before the new run is known to be possible
  ITO_TRY(open_folder());
  reported_ = session_->step();
  summary_.first_step = session_->step();
  summary_.device = device_.info().name;
  if (session_->step() > 0 && session_->step() < run_.steps)
    note(fmt::format("going on at step {} of {}", session_->step(), run_.steps));
  if (test_data_.count > 0) {
    ITO_ASSIGN(validator_, make_validator(device_, task_, test_data_, session_->average()));
  }
  for (const std::string& text : task_.objective.notes) note(text);
  if (run_.sample_every > 0 && !task_.objective.pictures.sampler.empty()) {
    ITO_ASSIGN(grid_, SampleGrid::create(device_, task_, session_->average()));
  }
  return {};
}

void Run::report_progress() {
  if (!observer_.progress) return;
  RunProgress progress{.step = session_->step(), .steps = run_.steps, .loss = summary_.loss};
  const double seconds = seconds_since(start_) - paused_;
  const double done = static_cast<double>(session_->step() - summary_.first_step);
  if (seconds > 0 && done > 0) {
    progress.steps_per_second = done / seconds;
    progress.images_per_second =
        progress.steps_per_second * static_cast<double>(options_.batch * options_.accumulate);
    progress.seconds_left =
        static_cast<double>(run_.steps - session_->step()) / progress.steps_per_second;
  }
  observer_.progress(progress);
}

Status Run::take_reports(bool wait) {
  while (session_->report_pending()) {
    ITO_ASSIGN(const std::optional<LossReport> report, session_->take_report(wait));
    if (!report) return {};
    if (report->first_bad > 0)
      return diverged(
          "the loss is not finite at step {}; try a smaller --lr (the last checkpoint is "
          "untouched)",
          report->first_bad);
    summary_.loss = report->loss;
    ITO_TRY(metrics_->append({{"step", report->step},
                              {"loss", report->loss},
                              {"grad_norm", report->grad_norm},
                              {"lr", report->learning_rate},
                              {"seconds", earlier_seconds_ + seconds_since(start_)}}));
  }
  return {};
}

Status Run::validate() {
  ITO_ASSIGN(Judgement judgement, validator_->measure());
  summary_.validation = judgement.value;
  summary_.metric = judgement.metric;
  Json row = {{"step", session_->step()}};
  row.update(judgement.row);
  ITO_TRY(metrics_->append(row));
  note(fmt::format("step {}: {}", session_->step(), judgement.text));
  return {};
}

Status Run::write_pictures(bool samples) {
  if (samples && grid_ != nullptr)
    ITO_TRY(
        grid_->write(run_.out / fmt::format("samples-{}.png", session_->step()), session_->step()));
  return write_loss_curve(run_.out / kMetricsFile, run_.out / "loss_curve.png");
}

Status Run::save() {
  Checkpoint checkpoint;
  checkpoint.step = session_->step();
  ITO_ASSIGN(checkpoint.state, session_->save());
  checkpoint.metadata = {{"options", to_json(options_)},
                         {"seconds", earlier_seconds_ + seconds_since(start_)},
                         {"device", device_.info().name},
                         {"images_seen", session_->step() * options_.batch * options_.accumulate}};
  ITO_TRY(write_checkpoint(run_.out, checkpoint,
                           [&](const Path& folder) { return export_model(folder); }));
  saved_ = checkpoint.step;
  return {};
}

// The averaged weights as a model folder.
Status Run::export_model(const Path& folder) {
  ITO_ASSIGN(const std::vector<float> weights, session_->average_weights());
  ITO_TRY(save_model(folder, task_.network, task_.objective.scheduler, weights));
  return task_.classes > 0 ? write_class_names(folder, class_names(data_)) : Status{};
}

Status Run::train() {
  start_ = Clock::now();
  const auto stopped = [&] { return observer_.stop != nullptr && observer_.stop->load(); };
  if (session_->step() > 0) {
    // A run that was killed between checkpoint and export catches up.
    ITO_TRY(export_model(run_.out));
    ITO_TRY(prune_checkpoints(run_.out, run_.keep));
  }
  // Looked at once per step: a signal that comes later ends the next one, which then is saved.
  bool end = session_->step() >= run_.steps || stopped();
  while (!end) {
    ITO_TRY(session_->advance());
    const int64_t step = session_->step();
    end = step >= run_.steps || stopped();
    const bool save_now = due(run_.checkpoint_every) || end;
    const bool validate_now =
        validator_ != nullptr && (due(run_.validate_every) || step >= run_.steps);
    const bool sample_now = due(run_.sample_every) || (run_.sample_every > 0 && step >= run_.steps);
    if (step % run_.log_every == 0 || save_now) {
      ITO_TRY(session_->request_report(step - reported_));
      reported_ = step;
    }
    ITO_TRY(take_reports(save_now || validate_now));
    report_progress();
    if (!save_now && !validate_now && !sample_now) continue;
    const Clock::time_point pause = Clock::now();
    if (validate_now) ITO_TRY(validate());
    ITO_TRY(write_pictures(sample_now));
    if (save_now) {
      ITO_TRY(save());
      ITO_TRY(export_model(run_.out));
      ITO_TRY(prune_checkpoints(run_.out, run_.keep));
    }
    paused_ += seconds_since(pause);
  }
  summary_.step = session_->step();
  summary_.stopped = session_->step() < run_.steps;
  summary_.seconds = earlier_seconds_ + seconds_since(start_);
  return {};
}

}  // namespace

Result<std::optional<TrainingOptions>> stored_options(const Path& out) {
  ITO_ASSIGN(const std::vector<int64_t> steps, checkpoint_steps(out));
  if (steps.empty()) return std::optional<TrainingOptions>{};
  const Path file = out / kRunFile;
  ITO_ASSIGN(const Json json, read_json(file));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, file.string()));
  ITO_TRY(object.require("options"));
  ITO_ASSIGN(TrainingOptions options,
             training_options_from_json(*object.find("options"), file.string()));
  ITO_TRY(check_training_options(options));
  return std::optional<TrainingOptions>(std::move(options));
}

Result<RunSummary> run_training(vk::Device& device, const TrainingOptions& options,
                                const RunOptions& run, const RunObserver& observer) {
  TrainingOptions effective = options;
  if (!run.fresh) {
    ITO_ASSIGN(const std::optional<TrainingOptions> stored, stored_options(run.out));
    if (stored) {
      ITO_ASSIGN(effective, resumed_options(*stored, options, run.given, run.out.string()));
    }
  }
  ITO_TRY(check_training_options(effective));
  Run training(device, std::move(effective), run, observer);
  ITO_TRY(training.open());
  ITO_TRY(training.train());
  return training.summary();
}

}  // namespace ito
