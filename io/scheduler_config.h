// scheduler_config.json and SchedulerConfig (base/scheduler_config.h): reading, writing and the
// checks of values; and the one table of diffusers' scheduler classes: which process and which
// sampler each stands for, the keys it owns, and the defaults that differ from SchedulerConfig's.
// No other room knows the classes' names.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "io/file.h"
#include "io/json.h"
#include "io/model_index.h"

namespace ito {

// Config from JSON. A class that is not named is what `missing` says (io/model_index.h), or DDPM's
// where betas are there, whose keys they are. Absent keys take the class's defaults; keys that the
// class does not own stay in `extra` and are written back as read. Errors name `where` and the key:
// kCorrupt for a value of the wrong type or out of range, or no class; kUnsupported for an unknown
// choice, or a class that is not in the table.
Result<SchedulerConfig> parse_scheduler_config(const Json& json, const std::string& where,
                                               const MissingClass& missing = {});
Json scheduler_config_json(const SchedulerConfig& config);

// The checks of a config built by hand.
Status validate_scheduler_config(const SchedulerConfig& config, const std::string& where);

// The text of a scheduler_config.json. Python writes infinite numbers as bare words, which are no
// JSON: they are understood here.
Result<SchedulerConfig> read_scheduler_file(const Path& path, const MissingClass& missing = {});

// Keys of a file that no scheduler class here has, those of a library's bookkeeping left out: they
// change nothing.
std::vector<std::string> unknown_scheduler_keys(const SchedulerConfig& config);

// The config as the class reads it that samples `sampler` with models of the config's process: keys
// which that class owns keep their values, others go to `extra` (diffusers' from_config). Errors: a
// value that the class does not take.
Result<SchedulerConfig> as_sampler(const SchedulerConfig& config, const std::string& sampler);

// diffusers' names of the scheduler class that the config stands for, and of a pipeline that
// samples a plain U-Net with it.
std::string scheduler_class_name(const SchedulerConfig& config);
std::string scheduler_pipeline_name(const SchedulerConfig& config);

}  // namespace ito
