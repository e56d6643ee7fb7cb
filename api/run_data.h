// The images of a training run and what is made of them: how they are read, which are held out,
// what is trained on them and for how many steps. Not the loop (api/training_run.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/run_file.h"
#include "api/task.h"
#include "api/training_run.h"
#include "io/dataset.h"

namespace ito {

struct RunData {
  DatasetOptions options;   // how they are read
  std::string fingerprint;  // of all images, those held out included
  int64_t held_out = 0;
  std::optional<double> holdout;  // the share that was asked for, or is by default
  ImageDataset train;
  ImageDataset test;  // to validate on; none where nothing is validated
  TrainingTask task;
  int64_t steps = 0;  // in all, of --steps or --epochs
};

// The options with the channels that the network takes, where they leave them open: grey pictures
// become coloured for one of colour. Nothing becomes grey.
DatasetOptions as_network_takes(DatasetOptions options, const Network& network);

// The images that a run held out of a data set, read as the run read them, with this call's
// `reading`, and cut in the middle; `rest`, if given, becomes those that it was trained on, which
// are only drawn. Errors: no run, one that held none out, other images.
Result<ImageDataset> open_held_out(const Path& run, const Path& data,
                                   const DatasetReading& reading = {},
                                   ImageDataset* rest = nullptr);

// Opens the images as the run in run.out was begun (`stored`) or as this call asks, makes the task,
// and gives `options` what depends on how long the run is. Errors: of the data; options that do not
// fit them.
Result<std::unique_ptr<RunData>> open_run_data(const RunOptions& run, const RunFile* stored,
                                               const InitialModel* initial,
                                               TrainingOptions& options);

}  // namespace ito
