// SampleJob: one call of `ito sample` as a value, and the loop that does it: which images are asked
// for, what they are told and where they begin, those that are there already left out, and the rest
// drawn batch by batch, each finished before the next. Not for what a sampler computes
// (api/sampling.h) nor for how images are kept (api/sample_files.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/control_files.h"
#include "api/device.h"
#include "api/model.h"
#include "api/sample_farm.h"
#include "api/sampling.h"
#include "io/class_names.h"
#include "io/file.h"
#include "ranks/ranks.h"

namespace ito {

struct SampleJob {
  Path model;             // where the model is from, for messages and remarks
  SampleOptions options;  // with the sampler resolved (api/sampling_loop.h)
  ControlFiles control = {};
  std::vector<uint32_t> seeds = {};       // an image each
  std::string classes = "all";            // as classes_called reads them
  std::optional<ClassNames> names = {};   // of the model's classes
  std::string context, negative_context;  // files; may be empty
  std::string classifier;                 // folder of one that judges the images; may be empty
  int size = 0;                           // side of the pictures; 0: the model's
  int preview_every = 0;                  // steps between previews; 0: none
  Path out = {};                          // as sample_form reads it
  int columns = 0;                        // of a grid; 0: about square
  // A shard of a job, or images kept in archives; `out` then is a folder. Its own `out` and `queue`
  // are filled in.
  std::optional<FarmOptions> farm = {};
  // Who draws it: each rank the images of its share; one file of all is written by the first. With
  // `farm` each is a shard.
  Ranks ranks = {};
};

struct SampleProgress {
  size_t done = 0, images = 0;  // images finished, and to be drawn
  double steps = 0;             // of the sampler, since the start
  // Nothing where nobody knows how many steps there will be.
  std::optional<double> images_per_second = {}, seconds_left = {};
  std::optional<FarmProgress> farm = {};
  // Of all shards, since this one was begun; nothing before the first image.
  std::optional<double> all_images_per_second = {}, all_seconds_left = {};
};

struct SampleObserver {
  std::function<void(const SampleProgress&)> progress;  // after every step
  NoteFunction note;                                    // a line for people
  const std::atomic<bool>* stop = nullptr;              // set: finish the batch, write it, return
};

struct SampleSummary {
  size_t images = 0, skipped = 0;  // drawn, and there already
  double seconds = 0;              // of drawing
  double idle = 0;                 // share of them in which the device had nothing to do
  bool stopped = false;            // by SampleObserver::stop, before all were drawn
  std::optional<int64_t> recognised = {};
  std::optional<FarmProgress> farm = {};
  std::optional<double> all_images_per_second = {}, all_seconds_left = {};
};

// Draws what is not there yet; of several ranks, which call it with the same job, the first has the
// summary of all. Of a job that is stopped a folder keeps what was drawn, and another
// call goes on; one file of all is not written. Errors: files, classes and options that do not fit
// the model or each other, of the sampler and the device.
Result<SampleSummary> run_sample_job(const DeviceOpener& open_device, const Model& model,
                                     const SampleJob& job, const SampleObserver& observer);

}  // namespace ito
