// How a call of a training begins: a new run as the call says, or one that goes on, which has what
// the call leaves open from its run.json. Not the images (api/run_data.h) and not the loop
// (api/training_run.h).
#pragma once

#include <optional>

#include "api/run_file.h"
#include "api/training_run.h"

namespace ito {

struct RunStart {
  TrainingOptions options;
  RunOptions run;
  std::optional<RunFile> stored;  // of a run that goes on
};

// Fills in what an earlier call left in run.out, and what ranks need. Changes no file. Errors:
// options that contradict the run's, or that do not fit each other.
Status settle_start(RunStart& start);

}  // namespace ito
