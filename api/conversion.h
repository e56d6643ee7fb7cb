// Conversion: a model's folder, or one file of tensors, written anew as Ito and diffusers write
// them: safetensors in one file, today's names, no wrapper's prefix. Every tensor keeps its value
// and every key of a configuration its place. Not for what a model computes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"

namespace ito {

struct ConversionOptions {
  std::string variant;           // of the weights, where a folder has several (io/weights.h)
  std::string prefix;            // only tensors below it, without it; empty: found for a network
  std::optional<HostType> type;  // of floating tensors; nothing: as they are
};

struct Conversion {
  std::vector<std::string> written;  // files, relative to `out`
  int64_t tensors = 0;
  int64_t bytes = 0;
  std::vector<std::string> notes;
};

// `source`: a pipeline's or model's folder, which becomes the folder `out`, or a file
// (.safetensors, .bin, .pt, .ckpt), which becomes the file `out`, a .safetensors. Atomic. Of a
// pipeline the networks that Ito runs, with the averages that lie beside their weights, the
// scheduler and the names of the classes are written; what else it has is named in a note. Errors:
// as of load_model and read_tensors; an `out` that is there already, or is called as a file is
// where it would be a folder.
Result<Conversion> convert_model(const Path& source, const Path& out,
                                 const ConversionOptions& options);

}  // namespace ito
