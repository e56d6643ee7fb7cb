// Checkpoints of a training run: folders RUN/checkpoint-N that appear whole or not at all, and are
// found, checked and pruned here.
//   state.safetensors  all tensors of the training state (parameters, optimiser, EMA, counters)
//   trainer.json       the step, free metadata, and size and CRC-32 of every other file
//   anything else the caller writes, such as unet/ for diffusers
// A folder of that name without such a trainer.json is somebody else's: it is neither read, nor
// replaced, nor removed, and neither is a file in a checkpoint that its trainer.json does not name.
// Not for what the tensors mean (api and apps decide).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/json.h"

namespace ito {

struct Checkpoint {
  int64_t step = 0;  // training steps done
  TensorFile state;
  Json metadata = Json::object();
  Path folder;  // set by load
};

// RUN/checkpoint-N.
Path checkpoint_folder(const Path& run, int64_t step);

// Writes RUN/checkpoint-N (checkpoint.folder is ignored), replacing one of the same step. `extra`,
// if given, adds files to the folder it gets before it is sealed. The run folder must exist. Error
// kInvalidArgument for a file or folder of that name that is no checkpoint.
Status write_checkpoint(const Path& run, const Checkpoint& checkpoint,
                        const std::function<Status(const Path& folder)>& extra = nullptr);

// Whether a folder is a checkpoint by its trainer.json, which may be damaged.
bool is_checkpoint(const Path& folder);
// The files that a checkpoint's trainer.json names, and itself, relative to the folder; none where
// it is no checkpoint or trainer.json is damaged.
std::vector<std::string> checkpoint_files(const Path& folder);
// Of them those that the caller's `extra` wrote.
std::vector<std::string> extra_checkpoint_files(const Path& folder);
// Files below the folder that no checkpoint wrote there.
Result<std::vector<std::string>> strangers_in_checkpoint(const Path& folder);

// Steps of the checkpoint folders of a run, ascending, those among them that miss a file; leftovers
// (*.tmp) and strangers are ignored. A run folder that does not exist has none.
Result<std::vector<int64_t>> checkpoint_steps(const Path& run);

// Reads one checkpoint folder. Error kCorrupt naming the file that is missing, damaged (size or
// CRC) or contradicts trainer.json.
Result<Checkpoint> read_checkpoint(const Path& folder);

// The newest checkpoint that is whole. For each damaged one on the way there is one warning line to
// `log`; nothing if the run has no checkpoints; the last damage as error if none is whole.
Result<std::optional<Checkpoint>> load_latest_checkpoint(const Path& run, const LogFunction& log);

// Removes one checkpoint: the folder, or where strangers lie in it, its own files. Nothing where it
// is no checkpoint.
Status remove_checkpoint(const Path& run, int64_t step);

// Removes leftovers of interrupted writes and removals (checkpoint-N.tmp and .old).
Status remove_checkpoint_leftovers(const Path& run);

// Removes those leftovers and all checkpoints but the
// newest `keep` (at least 1). A kill on the way leaves every checkpoint whole or gone.
Status prune_checkpoints(const Path& run, int keep);

// Removes the checkpoints after a step: what a run that fell back to an older one must not keep.
Status remove_checkpoints_after(const Path& run, int64_t step);

}  // namespace ito
