#include "api/context.h"

#include "base/error.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr const char* kStates = "encoder_hidden_states";

}  // namespace

Result<ContextStates> read_context(const Path& path, int64_t features) {
  ITO_ASSIGN(const TensorFile file, read_safetensors(path));
  const auto found = file.tensors.find(kStates);
  if (found == file.tensors.end())
    return invalid_argument("{}: tensor '{}' is missing", path.string(), kStates);
  const Shape& shape = found->second.shape;
  if (shape.rank() != 3 || shape[0] < 1 || shape[1] < 1 || shape[2] != features)
    return invalid_argument("{}: tensor '{}' has shape {}, expected [n,length,{}]", path.string(),
                            kStates, shape.to_string(), features);
  return ContextStates{.rows = shape[0],
                       .length = shape[1],
                       .features = shape[2],
                       .values = to_floats(found->second)};
}

Result<std::vector<float>> context_rows(const ContextStates& states,
                                        std::span<const uint32_t> rows) {
  const int64_t row = states.length * states.features;
  std::vector<float> chosen;
  chosen.reserve(rows.size() * static_cast<size_t>(row));
  for (const uint32_t index : rows) {
    if (int64_t{index} >= states.rows)
      return invalid_argument("context {} does not exist; there are contexts 0 to {}", index,
                              states.rows - 1);
    const auto begin = states.values.begin() + index * row;
    chosen.insert(chosen.end(), begin, begin + row);
  }
  return chosen;
}

}  // namespace ito
