// Small multi-layer perceptrons for points in the plane and other low-dimensional data: score
// networks (out = in), energy networks (out = 1), with or without conditioning on a time or noise
// level. Not for images.
#pragma once

#include <string>

#include "nn/network.h"

namespace ito {

struct MlpConfig {
  int64_t in_features = 2;
  int64_t out_features = 2;
  int64_t hidden_features = 128;
  int64_t hidden_layers = 2;    // so there are hidden_layers + 1 linear layers fc1, fc2, ...
  std::string act_fn = "silu";  // as in the U-Net, and "tanh", "softplus"
  int64_t time_features = 0;    // even; 0: not conditioned on time
  double time_scale = 1000;     // times the sinusoids' argument; for times in (0, 1]
  bool operator==(const MlpConfig&) const = default;
};

// Its row in nn/networks.h, and a configuration of it as a network: x [n, in_features], time → [n,
// out_features].
inline constexpr std::string_view kMlp = "mlp";
Result<Network> mlp_network(const MlpConfig& config);

// The error names the field, expected and found.
Status check_mlp(const MlpConfig& config);
Result<ParameterSet> mlp_parameters(const MlpConfig& config);

// x [n, in_features], time f32 [n] (empty if time_features is 0) → [n, out_features].
// Sinusoidal features of the time, if any, are appended to x.
Tensor mlp(const Scope& scope, const MlpConfig& config, Tensor x, Tensor time = {});

}  // namespace ito
