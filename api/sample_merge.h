// Joins the shards of a job of images (api/sample_farm.h): reads every manifest and every file
// against it, and writes one manifest of all. The images' files stay as they are.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "base/result.h"
#include "io/file.h"

namespace ito {

struct MergeSummary {
  size_t images = 0, shards = 0;
  size_t files = 0;  // archives; 0 where every image is a file
  std::string form;  // how images are kept
  Path manifest;     // that was written
};

// Called behind each block with the images checked so far and those in all.
using MergeProgress = std::function<void(size_t done, size_t images)>;

// Writes manifest.jsonl in `out`. Errors, one sentence naming shard or file and what to do: no
// manifests, or of jobs cut otherwise; a shard that is missing or not at its end; shards of
// different jobs; a file that is missing or not what its manifest says; images that are not those
// asked for.
Result<MergeSummary> merge_samples(const Path& out, const MergeProgress& progress = {});

}  // namespace ito
