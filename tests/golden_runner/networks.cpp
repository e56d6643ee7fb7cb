#include "tests/golden_runner/networks.h"

#include <cmath>
#include <utility>

#include "io/network_file.h"
#include "nn/networks.h"

namespace ito::golden {

Result<std::optional<Component>> read_network(const Path& folder, std::string& reason) {
  const auto unsupported = [&](const Error& error) -> Result<std::optional<Component>> {
    if (error.kind != ErrorKind::kUnsupported) return error;
    reason = error.message;
    return std::optional<Component>();
  };
  auto file = ito::read_network(folder);
  if (!file.ok()) return unsupported(file.error());
  auto network = make_network(file->network, file->config);
  if (!network.ok()) return unsupported(network.error());
  Component component{.network = std::move(network).value(), .weights = {}};
  ITO_ASSIGN(component.weights,
             weights_from_file(component.network.set(), file->weights, folder.string()));
  return std::optional<Component>(std::move(component));
}

bool is_key_bias(const std::string& parameter) { return parameter.ends_with(".to_k.bias"); }

Array sampled(const ForeignTensor& tensor, int64_t stride) {
  if (stride == 1)
    return {.shape = tensor.shape,
            .data = std::vector<double>(tensor.data.begin(), tensor.data.end())};
  Array array;
  for (size_t i = 0; i < tensor.data.size(); i += static_cast<size_t>(stride))
    array.data.push_back(tensor.data[i]);
  array.shape = {static_cast<int64_t>(array.data.size())};
  return array;
}

double norm_of(const ForeignTensor& tensor) {
  double sum = 0;
  for (float value : tensor.data) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

double dot_of(const ForeignTensor& tensor) {
  double sum = 0;
  for (size_t i = 0; i < tensor.data.size(); ++i)
    sum += tensor.data[i] * std::cos(static_cast<double>(i));
  return sum;
}

}  // namespace ito::golden
