// A training run as a folder that can be left and entered again:
//   run.json          the options and what it started from (api/run_file.h)
//   checkpoint-N/     the whole state (io/checkpoint.h)
//   unet/ scheduler/ model_index.json   the averaged weights of the newest checkpoint for diffusers
//   (config.json model.safetensors      for a classifier)
//   classes.json     what the classes are called (io/class_names.h)
//   metrics.jsonl loss_curve.png samples-N.png
//   report.html       all of it as a page (api/run_report.h)
//   events.out.tfevents.ito   for TensorBoard
// Not for what a step computes (api/training.h, api/task.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/device.h"
#include "api/training.h"
#include "api/training_options.h"
#include "base/log.h"
#include "io/dataset.h"
#include "io/file.h"
#include "ranks/ranks.h"

namespace ito {

struct RunOptions {
  Path data;
  Path out;
  int64_t steps = 2000;  // in all, not from here
  double epochs = 0;     // in place of steps: passes over the training images; 0: not given
  double max_hours = 0;  // of this call, after which it saves and ends; 0: no such end
  // The model that a new run starts from, as named and as opened; empty: fresh weights. Of a run
  // that goes on only the name is compared.
  std::string init = {};
  std::shared_ptr<const InitialModel> initial = {};
  int64_t log_every = 20;
  int64_t checkpoint_every = 500;
  int64_t sample_every = 0;     // 0: no sample grids
  int64_t validate_every = 0;   // 0: never (a classifier: only at the end)
  int keep = 2;                 // checkpoints
  bool fresh = false;           // remove what an earlier run left in `out`
  Ranks ranks = {};             // who trains it; the first of them writes
  DatasetOptions dataset = {};  // how `data` is read
  bool dataset_given = false;   // whether they were asked for by name
  // Share of the training images to validate on, at least 256 of them, where the data have no test
  // part. Nothing: 0.02, and only if there is something to validate.
  std::optional<double> holdout = {};
  // Keys of TrainingOptions and of visit_pace that were asked for by name.
  std::set<std::string> given;
};

// How long a run is and how often something is done in it, by option. run.json keeps them; a call
// that goes on has them from there where it does not say otherwise.
template <typename Options, typename F>
void visit_pace(Options& run, const F& f) {
  f("steps", run.steps);
  f("log-every", run.log_every);
  f("checkpoint-every", run.checkpoint_every);
  f("keep", run.keep);
  f("sample-every", run.sample_every);
  f("validate", run.validate_every);
}

struct RunProgress {
  int64_t step = 0, steps = 0;
  std::optional<double> loss;  // of the newest report
  // Likewise, where the loss is scaled.
  std::optional<double> loss_scale;
  int64_t skipped = 0;  // steps left out
  double steps_per_second = 0, images_per_second = 0, seconds_left = 0;
  int ranks = 1;
};

struct RunObserver {
  std::function<void(const RunProgress&)> progress;  // after every step
  std::function<void(const std::string&)> note;      // a line for people
  const std::atomic<bool>* stop = nullptr;           // set: finish the step, save, return
};

struct RunSummary {
  int64_t step = 0;
  int64_t first_step = 0;  // where this call started
  int64_t steps = 0;       // what was to be reached
  bool stopped = false;    // by RunObserver::stop or --max-hours
  std::optional<double> loss;
  std::optional<double> loss_scale;  // at the end, where the loss is scaled, and ...
  int64_t skipped = 0;               // ... the steps that the run left out
  std::optional<double> validation;  // what the objective's own validation says, and ...
  std::string metric;                // ... what it calls that: "validation", "accuracy"
  double seconds = 0;                // of training in all, resumed parts included
  std::string device;
  int ranks = 1;
  RankCosts costs;                 // of the steps of this call
  Json data = Json::object();      // facts of the training images, as io/dataset.h has them
  Json validated_on;               // and of those it was validated on, or null
  std::vector<std::string> notes;  // on what else it was made of: the model it started from, ...
};

// Trains until its last step, from the newest whole checkpoint on if there is one. Among several
// ranks each calls it with the same arguments. Errors: options
// that contradict the run's (kInvalidArgument), data that are not the run's, a loss that is not
// finite (the last checkpoint stays), files, device.
Result<RunSummary> run_training(const DeviceOpener& open_device, const TrainingOptions& options,
                                const RunOptions& run, const RunObserver& observer);

}  // namespace ito
