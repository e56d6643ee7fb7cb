// The CPU oracle: evaluates tensors of a graph with plain loops in double precision.
// For tests and constant folding; never a fallback for the device.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"

namespace ito {

// Values of the kInput nodes by name → values of `results`, in order. A missing or wrongly shaped
// input is an error that names it.
Result<std::vector<HostValue>> interpret(const std::vector<Tensor>& results,
                                         const std::unordered_map<std::string, HostValue>& inputs);

}  // namespace ito
