// The options of `ito sample` for jobs of many images: shards and archives; and how such a job's
// progress reads. Not for what they do (api/sample_farm.h).
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "api/sample_run.h"
#include "base/result.h"
#include "io/json.h"

namespace ito::apps {

struct FarmChoice {
  std::string shard, form = "png";
  size_t images_per_file = 1000;
};

void add_farm_options(CLI::App& app, FarmChoice& choice);

// After parsing. Nothing where no such option was given. Errors: a shard or form that there is not,
// options that mean nothing to such jobs, an --out that is no folder, fewer files than shards.
Result<std::optional<FarmOptions>> farm_options(const CLI::App& app, const FarmChoice& choice,
                                                const Path& out, size_t images);

std::string progress_text(const SampleProgress& progress);
// One line of it, and the same for the summary of a shard.
Json progress_json(const SampleProgress& progress);
void add_farm_json(Json& json, const SampleSummary& summary);

}  // namespace ito::apps
