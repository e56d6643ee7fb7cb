// Weights of tests, given by name, as a network takes them. What reads models does so from mapped
// files (io/weights.h).
#pragma once

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "nn/parameters.h"

namespace ito {

// Named tensors → flat [set.size()]. A missing tensor, one that the network does not have, or one
// of another shape is an error that names it, with expected and found.
inline Result<std::vector<float>> pack_parameters(const ParameterSet& set,
                                                  const ForeignTensors& tensors) {
  std::vector<float> flat(static_cast<size_t>(set.size()), 0.0f);
  for (const Parameter& parameter : set.parameters()) {
    const auto it = tensors.find(parameter.name);
    const Shape& expected = parameter.spec.foreign_shape;
    ITO_TRY(check_foreign_shape(parameter, it == tensors.end() ? nullptr : &it->second.shape));
    const ForeignTensor& tensor = it->second;
    if (static_cast<int64_t>(tensor.data.size()) != expected.numel()) {
      return invalid_argument("tensor {} has the wrong number of values: expected {}, found {}",
                              parameter.name, expected.numel(), tensor.data.size());
    }
    const std::vector<float> values = to_internal(parameter.spec, tensor.data);
    std::copy(values.begin(), values.end(), flat.begin() + parameter.offset);
  }
  for (const auto& [name, tensor] : tensors) {
    if (set.find(name) == nullptr) {
      return invalid_argument(
          "tensor {} (shape {}) is not part of the network: expected the {} tensors of its "
          "configuration, found this one besides",
          name, tensor.shape.to_string(), set.parameters().size());
    }
  }
  return flat;
}

}  // namespace ito
