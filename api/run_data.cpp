#include "api/run_data.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "api/training_rows.h"
#include "base/error.h"
#include "base/hash.h"

namespace ito {
namespace {

constexpr double kHoldOut = 0.02;
constexpr int64_t kLeastHeldOut = 256;

std::string fingerprint_of(const ImageDataset& data) {
  const auto text = [](const void* bytes, size_t size) {
    return std::string_view(static_cast<const char*>(bytes), size);
  };
  // The same wherever they lie. What is not in memory was hashed when it was decoded.
  uint64_t hash = data.store   ? data.store->hash
                  : data.files ? data.files->hash
                               : hash_bytes(text(data.pixels.data(), data.pixels.size()));
  if (data.labels)
    hash = hash_bytes(text(data.labels->data(), data.labels->size() * sizeof(int32_t)), hash);
  return fmt::format("{:016x}", hash);
}

// How a run reads its data to draw from them; grey pictures become what the model that it starts
// from takes.
DatasetOptions as_drawn(DatasetOptions options, const InitialModel* initial) {
  if (initial != nullptr) options = as_network_takes(options, initial->model.network);
  options.reading.drawn = true;
  return options;
}

// How the data are read: as the run's run.json says, or as this call asks.
Result<DatasetOptions> dataset_choice(const RunOptions& run, const RunFile* stored) {
  if (stored == nullptr) return run.dataset;
  DatasetOptions asked = run.dataset;
  if (asked.channels == 0) asked.channels = stored->dataset.channels;
  if (run.dataset_given && asked != stored->dataset)
    return invalid_argument(
        "the options that say how the images are read contradict the run in {}, which has {}; "
        "leave them out to go on with that run, or use another --out, or --fresh to start over",
        run.out.string(), dump_json_line(dataset_options_json(stored->dataset)));
  DatasetOptions options = stored->dataset;
  options.reading = run.dataset.reading;
  return options;
}

// What a run that goes on holds out is what it held out when it began. Runs of before the share was
// kept have the number of images.
Status check_same_holdout(const RunOptions& run, const RunFile& stored, int64_t images) {
  if (!run.holdout) return {};
  const double share = *run.holdout;
  const auto wanted =
      std::max<int64_t>(std::llround(share * static_cast<double>(images)), kLeastHeldOut);
  const bool same = stored.holdout ? *stored.holdout == share : stored.held_out == wanted;
  if (same && stored.held_out > 0) return {};
  return invalid_argument(
      "--holdout {} contradicts the run in {}, which {}; leave it out to go on with that run, or "
      "use another --out, or --fresh to start over",
      share, run.out.string(),
      stored.held_out == 0 ? std::string("was begun with all images")
      : stored.holdout     ? fmt::format("has {}", *stored.holdout)
                           : fmt::format("holds {} images out", stored.held_out));
}

// The images to validate on: the test part, or some that are not trained on, or as a last resort
// some that are.
Status open_validation(const RunOptions& run, const RunFile* stored, RunData& data) {
  if (stored != nullptr) {
    ITO_TRY(check_same_holdout(run, *stored, data.train.count));
    data.holdout = stored->holdout;
  }
  const bool wanted = run.validate_every > 0 || data.task.objective.validation.at_the_end;
  const bool asked = run.holdout && stored == nullptr;
  if (!wanted && !asked && (stored == nullptr || stored->held_out == 0)) return {};
  DatasetOptions options = data.options;
  options.crop = CropPlace::kCenter;
  if (options.channels == 0 && data.train.c == 3) options.channels = 3;  // of grey ones, too
  ITO_ASSIGN(std::optional<ImageDataset> test, open_test_images(run.data, options));
  if (test) {
    if (asked)
      return invalid_argument("--holdout is {}, but {} has {}: leave it out", *run.holdout,
                              run.data.string(), kind_of_images(*test));
    if (wanted) data.test = std::move(*test);
    return {};
  }
  std::optional<ImageDataset> held;
  if (stored != nullptr) {
    if (stored->held_out > 0) held = hold_out(data.train, 0, stored->held_out);
  } else {
    const double share = run.holdout.value_or(kHoldOut);
    held = hold_out(data.train, share, kLeastHeldOut);
    if (!held && asked) held = hold_out(data.train, share, 1);
    if (held) data.holdout = share;
    if (asked && !held)
      return invalid_argument("--holdout is {}, but {} has {} images, too few to hold any out",
                              share, run.data.string(), data.train.count);
    if (asked)
      data.train.facts.notes.push_back(fmt::format(
          "{} of {} images are held out (--holdout {}, at least {}){}", held->count,
          held->count + data.train.count, share, kLeastHeldOut,
          wanted ? "" : ", and nothing validates on them: --validate N does every N steps"));
  }
  if (held) {
    data.held_out = held->count;
    if (wanted) data.test = std::move(*held);
    return {};
  }
  if (!wanted) return {};
  data.test = data.train;
  data.test.facts.notes = {
      fmt::format("{} has no test part and {}: the validation is on images that are trained on",
                  run.data.string(),
                  stored != nullptr ? std::string("the run was begun with all images")
                                    : fmt::format("too few images to hold {} out", kLeastHeldOut))};
  return {};
}

int64_t steps_of(const RunOptions& run, const TrainingOptions& options, int64_t images) {
  if (run.epochs == 0) return run.steps;
  const double batches = run.epochs * static_cast<double>(images);
  return std::max<int64_t>(
      1,
      std::llround(std::ceil(batches / static_cast<double>(options.batch * options.accumulate))));
}

}  // namespace

DatasetOptions as_network_takes(DatasetOptions options, const Network& network) {
  if (options.channels == 0 && network.signature().in_channels == 3) options.channels = 3;
  return options;
}

Result<ImageDataset> open_held_out(const Path& run, const Path& data, const DatasetReading& reading,
                                   ImageDataset* rest) {
  ITO_ASSIGN(const std::optional<RunFile> stored, read_run_file(run));
  if (!stored || stored->held_out == 0)
    return invalid_argument("{} {}, so there are no held-out images", run.string(),
                            stored ? "was trained on all images" : "is no run of ito train");
  DatasetOptions options = stored->dataset;
  options.reading = reading;
  options = as_drawn(std::move(options), stored->initial ? &*stored->initial : nullptr);
  ITO_ASSIGN(ImageDataset train, open_dataset(data, Split::kTrain, options));
  if (fingerprint_of(train) != stored->fingerprint)
    return invalid_argument("the images in {} are not those that the run in {} was trained on",
                            data.string(), run.string());
  std::optional<ImageDataset> held = hold_out(train, 0, stored->held_out);
  if (!held)
    return corrupt("{}: {} images were held out of {}", run.string(), stored->held_out,
                   train.count);
  if (rest != nullptr) *rest = std::move(train);
  return cut_in_the_middle(*held);
}

Result<std::unique_ptr<RunData>> open_run_data(const RunOptions& run, const RunFile* stored,
                                               const InitialModel* initial,
                                               TrainingOptions& options) {
  auto data = std::make_unique<RunData>();
  ITO_ASSIGN(data->options, dataset_choice(run, stored));
  data->options = as_drawn(std::move(data->options), initial);
  ITO_ASSIGN(data->train, open_dataset(run.data, Split::kTrain, data->options));
  if (data->train.count < 1) return invalid_argument("{} has no images", run.data.string());
  data->fingerprint = fingerprint_of(data->train);
  ITO_ASSIGN(data->task, make_task(options, data->train, initial));
  const Validation& validation = data->task.objective.validation;
  if (run.validate_every > 0 && !validation.make)
    return invalid_argument("--validate is {}, but {}: leave it out", run.validate_every,
                            validation.why_not);
  ITO_TRY(open_validation(run, stored, *data));
  data->steps = steps_of(run, options, data->train.count);
  ITO_ASSIGN(const DecayRow* decay, row_called(decay_rows(), options.lr_decay, "--lr-decay"));
  const bool open_end = decay->falls && options.decay_steps == 0;
  if (open_end) {
    options.decay_steps = data->steps;
    ITO_TRY(check_training_options(options));
  }
  // What is measured on the data is measured on those that are trained on.
  if (data->held_out > 0 || open_end) {
    ITO_ASSIGN(data->task, make_task(options, data->train, initial));
  }
  return data;
}

}  // namespace ito
