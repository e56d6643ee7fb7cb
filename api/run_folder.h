// The folder of a training run: who may write there, and what `--fresh` may take away. Not for what
// the files hold (api/training_run.h).
#pragma once

#include "base/result.h"
#include "io/file.h"
#include "io/file_lock.h"

namespace ito {

inline constexpr const char* kRunFile = "run.json";
inline constexpr const char* kMetricsFile = "metrics.jsonl";
inline constexpr const char* kReportFile = "report.html";
inline constexpr const char* kEventFile = "events.out.tfevents.ito";  // TensorBoard's

// Error kInvalidArgument for a folder without run.json that holds what a run would overwrite: a
// model that somebody else put there.
Status check_run_folder(const Path& out);

// The right to write there, until it is let go or the process ends. The folder must exist. Error
// kInvalidArgument naming the process that has it.
Result<FileLock> lock_run_folder(const Path& out);

// Removes the files that a run writes, and no others: a note beside the weights stays. Of a folder
// without run.json nothing.
Status remove_run(const Path& out);

}  // namespace ito
