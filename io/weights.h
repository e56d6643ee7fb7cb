// Weights as files and folders hold them: safetensors or a PyTorch checkpoint, one file or shards
// named by an index, plain or of a variant ("fp16", "non_ema"). What a file is is seen from its
// content. Not which network the tensors belong to (io/network_file.h) and not for training
// checkpoints (io/checkpoint.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"

namespace ito {

// Every tensor of one file: safetensors, PyTorch's, an archive of NumPy arrays, or one array
// ("array"). Errors: as of the readers of these; kCorrupt for a file that is neither, saying what
// it is (a Git LFS pointer, a web page, a picture).
Result<TensorFile> read_tensors(const Path& path);

// One way in which a folder holds weights.
struct WeightsChoice {
  Path path;            // a file of tensors, or an index of shards
  bool index = false;   // "….index.json"
  std::string variant;  // "fp16"; empty: the plain one
};

// The weights called `stem` ("diffusion_pytorch_model") of a folder: the plain ones before
// variants, safetensors before pickles, one file before shards. `variant`: only that one. Errors:
// kNotFound naming what is there; kInvalidArgument where only several variants are there and none
// was named.
Result<WeightsChoice> find_weights(const Path& folder, std::string_view stem,
                                   std::string_view variant = {});

// The variants that are there, sorted, the plain weights ("") among them.
Result<std::vector<std::string>> find_variants(const Path& folder, std::string_view stem);

// All tensors of a choice. Errors: as of read_tensors; kCorrupt for an index that is none, names a
// file outside its folder, or a tensor that its shard lacks.
Result<TensorFile> read_weights(const WeightsChoice& choice);

}  // namespace ito
