// A diffusers model folder of the golden data as a network of ours.
#pragma once

#include <optional>
#include <vector>

#include "api/model.h"
#include "tests/golden_runner/case.h"

namespace ito::golden {

// Reads config.json and the weights of `folder`. Nothing, with `reason` set, where the config's
// reader says that the kind of model is not supported.
Result<std::optional<Component>> read_network(const Path& folder, std::string& reason);

// Whether a parameter's gradient is zero by the shift invariance of softmax, so that what float32
// leaves of it is noise.
bool is_key_bias(const std::string& parameter);

// Every stride-th element, as the files store large gradients; all of them with stride 1.
Array sampled(const ForeignTensor& tensor, int64_t stride);

// L2 norm, and sum of g_i cos(i), i being the flat index: what the files say of every element.
double norm_of(const ForeignTensor& tensor);
double dot_of(const ForeignTensor& tensor);

}  // namespace ito::golden
