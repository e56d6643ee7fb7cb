#include "api/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/model.h"
#include "api/run_data.h"
#include "api/run_file.h"
#include "api/run_folder.h"
#include "api/run_pictures.h"
#include "api/run_report.h"
#include "api/trained_model.h"
#include "api/training.h"
#include "api/training_rows.h"
#include "api/validation.h"
#include "base/clock.h"
#include "base/error.h"
#include "io/checkpoint.h"
#include "io/class_names.h"
#include "io/dataset.h"
#include "io/image.h"
#include "io/jsonl.h"
#include "io/network_file.h"
#include "io/tensorboard.h"
#include "nn/loss_scale.h"

namespace ito {
namespace {

constexpr double kSecondsPerHour = 3600;

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// One run under way; run() is the loop.
class Run {
 public:
  Run(const DeviceOpener& open_device, TrainingOptions options, const RunOptions& run,
      std::optional<RunFile> stored, const RunObserver& observer)
      : open_device_(open_device),
        options_(std::move(options)),
        run_(run),
        stored_(std::move(stored)),
        observer_(observer) {
    if (!stored_) initial_ = run.initial.get();
    if (stored_ && stored_->initial) initial_ = &*stored_->initial;
  }

  Status open();
  Status train();
  RunSummary summary() const { return summary_; }

 private:
  Status open_data();
  void say_what_was_read(const ImageDataset& data) const;
  Status open_folder();
  Status open_metrics(std::optional<int64_t> resumed_step);
  // Of a step, for TensorBoard.
  Status write_scalars(int64_t step, const std::vector<std::pair<const char*, double>>& values);
  Status settle_changes(int64_t step);
  RunFile run_file() const;
  Json pace() const;
  // The right to write into a folder that is there.
  Status take_folder();
  Status export_model(const Path& folder);
  Status take_reports(bool wait);
  Status check_loss(const LossReport& report);
  Status write_metrics(const LossReport& report);
  Status validate();
  Status save();
  Status write_pictures(bool samples);
  void report_progress();
  bool due(int64_t every) const { return every > 0 && session_->step() % every == 0; }
  void note(const std::string& text) const {
    if (observer_.note) observer_.note(text);
  }
  // A note that the summary keeps.
  void remark(const std::string& text) {
    note(text);
    summary_.notes.push_back(text);
  }

  const DeviceOpener& open_device_;
  vk::Device* device_ = nullptr;  // set when the data have been read
  TrainingOptions options_;
  const RunOptions& run_;
  std::optional<RunFile> stored_;  // of a run that goes on
  const InitialModel* initial_ = nullptr;
  const RunObserver& observer_;
  std::unique_ptr<RunData> data_;
  std::unique_ptr<TrainingSession> session_;
  std::unique_ptr<Validator> validator_;
  std::unique_ptr<SampleGrid> grid_;
  std::optional<JsonlWriter> metrics_;
  std::optional<EventWriter> events_;
  std::optional<FileLock> lock_;
  RunSummary summary_;
  int64_t reported_ = 0;  // step of the last report asked for
  int64_t saved_ = -1;    // step of the last checkpoint written here
  double earlier_seconds_ = 0;
  const Clock::time_point called_ = Clock::now();
  Clock::time_point start_;
  double paused_ = 0;  // seconds of start_.. that were not training
};

Status Run::open_data() {
  ITO_ASSIGN(data_, open_run_data(run_, stored_ ? &*stored_ : nullptr, initial_, options_));
  say_what_was_read(data_->train);
  summary_.data = facts_json(data_->train);
  if (data_->test.count > 0) {
    say_what_was_read(data_->test);
    summary_.validated_on = facts_json(data_->test);
    ITO_TRY(check_test_images(data_->task, data_->test));
  }
  summary_.steps = data_->steps;
  if (initial_ != nullptr && !stored_)
    remark(fmt::format("starting from {}: a network {} of {} weights", initial_->folder,
                       initial_->model.network.row(), initial_->model.network.set().count()));
  if (initial_ != nullptr && !stored_ && data_->task.classes == 0 &&
      data_->train.num_classes() > 0 && !options_.classes && run_.given.count("classes") == 0)
    remark(
        fmt::format("{} has no classes, so those of the images are left out; --classes adds them",
                    initial_->folder));
  if (options_.ema.size() > 1)
    remark(
        fmt::format("the model's weights are the average of decay {}; the others lie beside them, "
                    "for ito sample --ema",
                    options_.ema[0]));
  return {};
}

void Run::say_what_was_read(const ImageDataset& data) const {
  note(describe(data, kind_of_images(data)));
  for (const std::string& text : data.facts.notes) note("note: " + text);
}

Json Run::pace() const {
  Json pace = Json::object();
  visit_pace(run_, [&](const char* key, const auto& value) { pace[key] = value; });
  pace["steps"] = data_->steps;
  return pace;
}

RunFile Run::run_file() const {
  RunFile file{.options = options_,
               .data = run_.data.string(),
               .fingerprint = data_->fingerprint,
               .dataset = data_->options,
               .held_out = data_->held_out,
               .holdout = data_->holdout,
               .pace = pace(),
               .parameters = data_->task.network.set().count(),
               .initial = {},
               .facts = summary_.data};
  if (initial_ != nullptr) file.initial = without_weights(*initial_);
  return file;
}

// Makes the folder, clears what a killed run left half-written, and writes run.json for a new run;
// loads the newest checkpoint of an old one.
Status Run::open_folder() {
  ITO_TRY(make_folders(run_.out));
  ITO_TRY(take_folder());
  ITO_TRY(remove_half_written(run_.out));
  std::optional<Checkpoint> checkpoint;
  if (file_exists(run_.out /
                  kRunFile)) {  // else whatever is called so is no checkpoint of this run
    ITO_ASSIGN(checkpoint, load_latest_checkpoint(run_.out, device_->log()));
  }
  if (!checkpoint) {
    ITO_TRY(write_run_file(run_.out, run_file()));
    ITO_TRY(open_metrics(std::nullopt));
    return {};
  }
  ITO_TRY(check_nothing_in_the_way(run_.out, checkpoint->step, data_->steps, run_.sample_every));
  ITO_TRY(remove_checkpoints_after(run_.out, checkpoint->step));
  ITO_TRY(session_->load(checkpoint->state, checkpoint->step));
  ITO_ASSIGN(JsonObject metadata,
             JsonObject::open(checkpoint->metadata, checkpoint->folder.string()));
  std::string device;
  ITO_TRY(metadata.read("seconds", &earlier_seconds_));
  ITO_TRY(metadata.read("device", &device));
  if (device != device_->info().name)
    remark("the run began on " + device + "; on another device it goes on, but not bit for bit");
  ITO_TRY(settle_changes(checkpoint->step));
  if (options_ != stored_->options || pace() != stored_->pace)
    ITO_TRY(write_run_file(run_.out, run_file()));
  ITO_TRY(open_metrics(checkpoint->step));
  saved_ = checkpoint->step;
  return {};
}

Status Run::open_metrics(std::optional<int64_t> resumed_step) {
  ITO_ASSIGN(metrics_, JsonlWriter::open(run_.out / kMetricsFile, resumed_step));
  ITO_ASSIGN(events_, EventWriter::open(run_.out / kEventFile, resumed_step));
  return {};
}

// What a run that goes on says of what may change: another precision or fall of the learning rate
// is kept, a fall that is over named.
Status Run::settle_changes(int64_t step) {
  if (!stored_) return {};
  if (options_.precision != stored_->options.precision)
    remark(fmt::format("the run goes on with --precision {} in place of {}", options_.precision,
                       stored_->options.precision));
  if (options_.lr_decay != stored_->options.lr_decay ||
      options_.decay_steps != stored_->options.decay_steps) {
    remark(
        fmt::format("the learning rate falls as --lr-decay {} --decay-steps {} from here on, in "
                    "place of {} and {}",
                    options_.lr_decay, options_.decay_steps, stored_->options.lr_decay,
                    stored_->options.decay_steps));
    return {};
  }
  ITO_ASSIGN(const DecayRow* decay, row_called(decay_rows(), options_.lr_decay, "--lr-decay"));
  if (decay->falls && options_.decay_steps < data_->steps && step < data_->steps)
    remark(
        fmt::format("the learning rate ends its fall at step {}, before the run does; "
                    "--decay-steps {} stretches it",
                    options_.decay_steps, data_->steps));
  return {};
}

Status Run::take_folder() {
  if (lock_ || !folder_exists(run_.out)) return {};
  ITO_TRY(check_run_folder(run_.out));
  ITO_ASSIGN(lock_, lock_run_folder(run_.out));
  return {};
}

// A run among its images would be taken for some of them the next time.
Status check_apart(const Path& data, const Path& out) {
  std::error_code error;
  const Path images = std::filesystem::weakly_canonical(data, error);
  const Path run = std::filesystem::weakly_canonical(out, error);
  if (error || !folder_exists(data)) return {};
  const Path relative = run.lexically_relative(images);
  if (relative.empty() || relative.generic_string().starts_with("..")) return {};
  return invalid_argument("--out {} lies in {}, where the images are; choose another --out",
                          out.string(), data.string());
}

Status Run::open() {
  ITO_TRY(take_folder());
  ITO_TRY(open_data());
  if (stored_ && stored_->fingerprint != data_->fingerprint)
    return invalid_argument("the images in {} are not those that the run in {} was trained on",
                            run_.data.string(), run_.out.string());
  ITO_ASSIGN(device_, open_device_());
  ITO_ASSIGN(session_, TrainingSession::create(*device_, data_->task, data_->train, options_.seed));
  data_->task.initial_weights = {};
  if (run_.fresh) {  // not before the new run is known to be possible
    ITO_TRY(check_nothing_in_the_way(run_.out, 0, data_->steps, run_.sample_every));
    ITO_TRY(remove_run(run_.out));
  }
  ITO_TRY(open_folder());
  reported_ = session_->step();
  summary_.first_step = session_->step();
  summary_.device = device_->info().name;
  if (session_->step() > 0 && session_->step() < data_->steps)
    note(fmt::format("going on at step {} of {}", session_->step(), data_->steps));
  if (data_->test.count > 0) {
    ITO_ASSIGN(validator_, make_validator(*device_, data_->task, data_->test, session_->average()));
  }
  for (const std::string& text : data_->task.objective.notes) remark(text);
  if (run_.sample_every > 0 && !data_->task.objective.pictures.sampler.empty()) {
    ITO_ASSIGN(grid_, SampleGrid::create(*device_, data_->task, session_->average()));
  }
  return {};
}

void Run::report_progress() {
  if (!observer_.progress) return;
  RunProgress progress{.step = session_->step(),
                       .steps = data_->steps,
                       .loss = summary_.loss,
                       .loss_scale = summary_.loss_scale,
                       .skipped = summary_.skipped};
  const double seconds = seconds_since(start_) - paused_;
  const double done = static_cast<double>(session_->step() - summary_.first_step);
  if (seconds > 0 && done > 0) {
    progress.steps_per_second = done / seconds;
    progress.images_per_second =
        progress.steps_per_second * static_cast<double>(options_.batch * options_.accumulate);
    progress.seconds_left =
        static_cast<double>(data_->steps - session_->step()) / progress.steps_per_second;
  }
  observer_.progress(progress);
}

Status Run::take_reports(bool wait) {
  while (session_->report_pending()) {
    ITO_ASSIGN(const std::optional<LossReport> report, session_->take_report(wait));
    if (!report) return {};
    ITO_TRY(check_loss(*report));
    ITO_TRY(write_metrics(*report));
  }
  return {};
}

// A scaled loss may be no number now and then: the step was left out.
Status Run::check_loss(const LossReport& report) {
  if (!report.scale) {
    if (report.first_bad == 0) return {};
    return diverged(
        "the loss is not finite at step {}; try a smaller --lr (the last checkpoint is "
        "untouched)",
        report.first_bad);
  }
  if (report.scale->scale > kLeastLossScale) return {};
  return diverged(
      "no gradient is finite at step {} however small the loss scale is; go on with --precision "
      "fp32 or bf16, or begin anew with a smaller --lr",
      report.step);
}

Status Run::write_metrics(const LossReport& report) {
  std::vector<std::pair<const char*, double>> numbers = {
      {"loss", report.loss}, {"grad_norm", report.grad_norm}, {"lr", report.learning_rate}};
  if (report.scale) {
    summary_.loss_scale = report.scale->scale;
    summary_.skipped = report.scale->skipped;
    numbers.emplace_back("loss_scale", report.scale->scale);
    numbers.emplace_back("skipped_steps", static_cast<double>(report.scale->skipped));
  }
  // Of a step that was left out.
  std::erase_if(numbers, [](const auto& number) { return !std::isfinite(number.second); });
  if (std::isfinite(report.loss)) summary_.loss = report.loss;
  Json row = {{"step", report.step}};
  for (const auto& [key, value] : numbers) row[key] = value;
  if (report.scale) row["skipped_steps"] = report.scale->skipped;
  row["seconds"] = earlier_seconds_ + seconds_since(start_);
  ITO_TRY(metrics_->append(row));
  return write_scalars(report.step, numbers);
}

Status Run::validate() {
  ITO_ASSIGN(Judgement judgement, validator_->measure());
  summary_.validation = judgement.value;
  summary_.metric = judgement.metric;
  Json row = {{"step", session_->step()}};
  row.update(judgement.row);
  ITO_TRY(metrics_->append(row));
  ITO_TRY(write_scalars(session_->step(), {{judgement.metric.c_str(), judgement.value}}));
  note(fmt::format("step {}: {}", session_->step(), judgement.text));
  return {};
}

Status Run::write_scalars(int64_t step, const std::vector<std::pair<const char*, double>>& values) {
  const double now = seconds_since_1970();
  for (const auto& [tag, value] : values)
    ITO_TRY(events_->scalar(now, step, tag, static_cast<float>(value)));
  return {};
}

Status Run::write_pictures(bool samples) {
  if (samples && grid_ != nullptr) {
    const Path png = run_.out / fmt::format("samples-{}.png", session_->step());
    ITO_TRY(grid_->write(png, session_->step()));
    ITO_ASSIGN(const std::string bytes, read_file(png));
    ITO_ASSIGN(const Image image, read_image(png));
    ITO_TRY(events_->image(seconds_since_1970(), session_->step(), "samples", bytes, image.w,
                           image.h, image.c));
  }
  return write_loss_curve(run_.out / kMetricsFile, run_.out / kLossCurveFile);
}

Status Run::save() {
  Checkpoint checkpoint;
  checkpoint.step = session_->step();
  checkpoint.state = session_->save();
  checkpoint.metadata = {{"options", to_json(options_)},
                         {"seconds", earlier_seconds_ + seconds_since(start_)},
                         {"device", device_->info().name},
                         {"images_seen", session_->step() * options_.batch * options_.accumulate}};
  ITO_TRY(write_checkpoint(run_.out, checkpoint,
                           [&](const Path& folder) { return export_model(folder); }));
  saved_ = checkpoint.step;
  return {};
}

Status Run::export_model(const Path& folder) {
  return export_trained(
      folder, data_->task, initial_, [&](size_t i) { return session_->average(i); },
      class_names(data_->train));
}

Status Run::train() {
  start_ = Clock::now();
  const auto stopped = [&] {
    if (observer_.stop != nullptr && observer_.stop->load()) return true;
    // However little time there is, a call gets further than the last.
    return run_.max_hours > 0 && session_->step() > summary_.first_step &&
           seconds_since(called_) >= run_.max_hours * kSecondsPerHour;
  };
  if (session_->step() > 0) {
    // A run that was killed between checkpoint and export catches up.
    ITO_TRY(export_model(run_.out));
    ITO_TRY(prune_checkpoints(run_.out, run_.keep));
    ITO_TRY(write_run_report(run_.out));
  }
  // Looked at once per step: a signal that comes later ends the next one, which then is saved.
  bool end = session_->step() >= data_->steps || stopped();
  while (!end) {
    ITO_TRY(session_->advance());
    const int64_t step = session_->step();
    end = step >= data_->steps || stopped();
    const bool save_now = due(run_.checkpoint_every) || end;
    const bool validate_now =
        validator_ != nullptr && (due(run_.validate_every) || step >= data_->steps);
    const bool sample_now =
        due(run_.sample_every) || (run_.sample_every > 0 && step >= data_->steps);
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
      ITO_TRY(write_run_report(run_.out));
    }
    paused_ += seconds_since(pause);
  }
  summary_.step = session_->step();
  summary_.stopped = session_->step() < data_->steps;
  summary_.seconds = earlier_seconds_ + seconds_since(start_);
  return {};
}

// What the call does not say of length and pace is the run's.
Status take_pace(RunOptions& run, const RunFile& stored) {
  Status status;
  visit_pace(run, [&](const char* key, auto& value) {
    const auto kept = stored.pace.find(key);
    if (run.given.contains(key) || kept == stored.pace.end() || !status.ok()) return;
    if (!kept->is_number_integer())
      status = corrupt("{}: pace: key '{}': expected a whole number, found {}",
                       (run.out / kRunFile).string(), key, describe_json(*kept));
    else
      value = kept->get<std::remove_reference_t<decltype(value)>>();
  });
  return status;
}

}  // namespace

Result<RunSummary> run_training(const DeviceOpener& open_device, const TrainingOptions& options,
                                const RunOptions& run, const RunObserver& observer) {
  TrainingOptions effective = options;
  RunOptions paced = run;
  std::optional<RunFile> stored;
  ITO_TRY(check_apart(run.data, run.out));
  ITO_TRY(check_run_folder(run.out));  // before what is in it is read as a run's
  if (!run.fresh) {
    ITO_ASSIGN(stored, read_run_file(run.out));
  }
  if (stored) {
    ITO_TRY(check_same_start(*stored, run.init, run.out));
    ITO_ASSIGN(effective, resumed_options(stored->options, options, run.given, run.out.string()));
    ITO_TRY(take_pace(paced, *stored));
  }
  ITO_TRY(check_training_options(effective));
  Run training(open_device, std::move(effective), paced, std::move(stored), observer);
  ITO_TRY(training.open());
  ITO_TRY(training.train());
  return training.summary();
}

}  // namespace ito
