#include "graph/program.h"

#include <fmt/format.h>

namespace ito {

void Program::update(Tensor input, Tensor value) {
  const auto* attr = std::get_if<InputAttr>(&input.node().attrs);
  CHECK(attr != nullptr, "update: the replaced tensor is no input");
  CHECK(
      input.shape() == value.shape() && input.dtype() == value.dtype(),
      fmt::format("update of {}: {}{} is replaced by {}{}", attr->name, dtype_name(input.dtype()),
                  input.shape().to_string(), dtype_name(value.dtype()), value.shape().to_string()));
  outputs.push_back({attr->name, value, true});
}

}  // namespace ito
