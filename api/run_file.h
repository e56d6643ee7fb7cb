// run.json: what a run was begun with, written when it begins and, where going on changes an
// option, again. Not the run's other files (api/run_folder.h).
#pragma once

#include <optional>
#include <string>

#include "api/initial_model.h"
#include "api/training_options.h"
#include "io/dataset.h"
#include "io/file.h"

namespace ito {

struct RunFile {
  TrainingOptions options;
  std::string data;                     // where the images are
  std::string fingerprint;              // of all of them, those held out included
  DatasetOptions dataset;               // how they are read
  int64_t held_out = 0;                 // of them, to validate on
  std::optional<double> holdout = {};   // the share that was asked for; nothing: none was needed
  Json pace = Json::object();           // of visit_pace (api/training_run.h), by option
  int64_t parameters = 0;               // of what is trained
  std::optional<InitialModel> initial;  // without weights
  Json facts = Json::object();          // of the images trained on, as io/dataset.h has them
};

// The file of a run that can be resumed; nothing where there is no checkpoint. Errors: kCorrupt
// naming file and key; options that this build refuses.
Result<std::optional<RunFile>> read_run_file(const Path& out);
// Whether `init`, the model that is asked for (empty: none), is what the run in `out` began from;
// the error names both.
Status check_same_start(const RunFile& stored, const std::string& init, const Path& out);
// Atomic.
Status write_run_file(const Path& out, const RunFile& file);

}  // namespace ito
