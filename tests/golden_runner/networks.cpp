#include "tests/golden_runner/networks.h"

#include <cmath>

#include "io/diffusers.h"
#include "nn/unet2d.h"

namespace ito::golden {

Result<std::optional<Network>> read_network(const Path& folder, std::string& reason) {
  Network network;
  auto config = read_unet_config(folder);
  if (!config.ok()) {
    if (config.error().kind != ErrorKind::kUnsupported) return config.error();
    reason = config.error().message;
    return std::optional<Network>();
  }
  network.config = std::move(config).value();
  auto set = unet2d_parameters(network.config);
  if (!set.ok()) {
    if (set.error().kind != ErrorKind::kUnsupported) return set.error();
    reason = set.error().message;
    return std::optional<Network>();
  }
  network.set = std::move(set).value();
  ITO_ASSIGN(const TensorFile file, read_unet_weights(folder));
  ForeignTensors tensors;
  for (const auto& [name, tensor] : file.tensors)
    tensors[name] = {.shape = tensor.shape, .data = to_floats(tensor)};
  ITO_ASSIGN(network.weights, pack_parameters(network.set, tensors));
  return std::optional<Network>(std::move(network));
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
