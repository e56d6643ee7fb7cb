#include "nn/mlp.h"

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"

namespace ito {
namespace {

Tensor mlp_activation(std::string_view name, Tensor x) {
  if (name == "tanh") return tanh(x);
  if (name == "softplus") return softplus(x);
  return activation(name, x);
}

}  // namespace

Status check_mlp(const MlpConfig& config) {
  for (const auto& [field, value] : {std::pair{"in_features", config.in_features},
                                     {"out_features", config.out_features},
                                     {"hidden_features", config.hidden_features},
                                     {"hidden_layers", config.hidden_layers}}) {
    if (value <= 0)
      return invalid_argument("{}: expected a positive number, found {}", field, value);
  }
  if (config.time_features < 0 || config.time_features % 2 != 0) {
    return invalid_argument("time_features: expected an even number, 0 for none, found {}",
                            config.time_features);
  }
  if (config.act_fn == "tanh" || config.act_fn == "softplus") return {};
  return check_activation(config.act_fn);
}

Result<Network> mlp_network(const MlpConfig& config) {
  ITO_ASSIGN(ParameterSet set, mlp_parameters(config));
  NetworkDefinition definition{.row = kMlp, .config = config};
  definition.signature = {
      .in_channels = config.in_features, .out_channels = config.out_features, .image_out = false};
  definition.signature.time = config.time_features > 0 ? TimeInput::kTimestep : TimeInput::kNone;
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning&) {
    return mlp(scope, config, x, t);
  };
  return Network(std::move(definition), std::move(set));
}

Result<ParameterSet> mlp_parameters(const MlpConfig& config) {
  ITO_TRY(check_mlp(config));
  return declare_parameters([&](Graph& graph, const Scope& scope) {
    const Tensor x = input(graph, "x", Shape{1, config.in_features});
    mlp(scope, config, x, config.time_features == 0 ? Tensor() : input(graph, "time", Shape{1}));
  });
}

Tensor mlp(const Scope& scope, const MlpConfig& config, Tensor x, Tensor time) {
  CHECK(static_cast<bool>(time) == (config.time_features != 0),
        "time is given exactly where the network is conditioned on it");
  if (time) {
    const Tensor features = timestep_embedding(time, config.time_features,
                                               /*flip_sin_to_cos=*/false,
                                               /*downscale_freq_shift=*/0, config.time_scale);
    x = concat({x, features}, 1);
  }
  for (int64_t i = 1; i <= config.hidden_layers; ++i) {
    x = linear(scope / ("fc" + std::to_string(i)), x, config.hidden_features);
    x = mlp_activation(config.act_fn, x);
  }
  return linear(scope / ("fc" + std::to_string(config.hidden_layers + 1)), x, config.out_features);
}

}  // namespace ito
