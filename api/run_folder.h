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

inline constexpr const char* kLossCurveFile = "loss_curve.png";

// The step at which a run drew the picture, a grid of samples called after the step, as its
// settings say, too; nothing for other pictures of such a name.
std::optional<int64_t> own_grid_step(const Path& png);

// Error kInvalidArgument for a folder that is neither a run nor empty: a run.json of another
// program or, without one, whatever somebody put there.
Status check_run_folder(const Path& out);

// Error kInvalidArgument naming a file or folder that a run's steps after `first`, up to `steps`,
// would replace and that no run wrote: a checkpoint of another program or with a note in it, a
// picture that is called as a grid of samples. (A run knows its checkpoints by trainer.json, which
// names every file, and its grids by their settings.)
Status check_nothing_in_the_way(const Path& out, int64_t first, int64_t steps,
                                int64_t sample_every);

// Removes what a killed run left half-written, files NAME.PROCESS.tmp of its own names.
Status remove_half_written(const Path& out);

// The right to write there, until it is let go or the process ends. The folder must exist. Error
// kInvalidArgument naming the process that has it.
Result<FileLock> lock_run_folder(const Path& out);

// Removes the files that the run wrote, and no others: a note beside the weights or in a checkpoint
// stays, and a picture that is only called as a grid of samples. Of a folder without run.json
// nothing. Error kInvalidArgument where run.json is another program's.
Status remove_run(const Path& out);

}  // namespace ito
