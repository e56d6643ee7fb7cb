#include "nn/ddgan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"
#include "nn/networks.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

constexpr double kSlope = 0.2;  // of the leaky ReLU
constexpr double kLatentNormEps = 1e-8;

Tensor leaky_relu(Tensor x) { return maximum(x, x * kSlope); }

int64_t time_features(const DdganConfig& config) { return config.discriminator_channels[0]; }
int64_t time_width(const DdganConfig& config) { return 4 * config.discriminator_channels[0]; }

// One level: two convolutions with the time added between them, then half the size; the shortcut
// likewise. The sum is divided by √2, so that its variance stays.
Tensor discriminator_block(const Scope& scope, Tensor x, Tensor time, int64_t channels) {
  Tensor h = conv2d(scope / "conv1", leaky_relu(x), channels);
  const Tensor e = linear(scope / "time_emb_proj", time, channels);
  h = h + reshape(e, Shape{e.dim(0), 1, 1, channels});
  h = average_pool(conv2d(scope / "conv2", leaky_relu(h), channels));
  const Tensor shortcut = conv2d_1x1(scope / "conv_shortcut", average_pool(x), channels);
  return (h + shortcut) * std::sqrt(0.5);
}

// Of x_{t-1} and x_t one after the other along the channels.
Tensor discriminate(const Scope& scope, const DdganConfig& config, Tensor pair, Tensor t,
                    Tensor labels) {
  const std::vector<int64_t>& channels = config.discriminator_channels;
  const Tensor features = timestep_embedding(t, time_features(config), /*flip_sin_to_cos=*/true,
                                             /*downscale_freq_shift=*/0);
  const Tensor time = leaky_relu(time_mlp(scope / "time_embedding", features, time_width(config)));
  Tensor h = conv2d(scope / "conv_in", pair, channels[0]);
  for (size_t i = 0; i < channels.size(); ++i)
    h = discriminator_block(scope / "blocks" / static_cast<int64_t>(i), h, time, channels[i]);
  h = leaky_relu(conv2d(scope / "conv_out", leaky_relu(h), channels.back()));
  h = sum(h, {1, 2});
  const Tensor logit = linear(scope / "head", h, 1);
  if (!labels) return reshape(logit, Shape{logit.dim(0)});
  const Tensor classes =
      embedding(scope / "class_embedding", labels, config.mapping.classes, channels.back());
  return reshape(logit, Shape{logit.dim(0)}) +
         sum(h * classes, {1}) * std::sqrt(1.0 / static_cast<double>(channels.back()));
}

Tensor labels_input(Graph& graph, const LatentMappingConfig& config) {
  return config.classes > 0 ? input(graph, "labels", Shape{1}, DType::kU32) : Tensor{};
}

// Shapes of parameters do not depend on the images' size. Each level halves once.
void declare_generator(Graph& graph, const Scope& scope, const UNet2DConfig& unet,
                       const LatentMappingConfig& mapping) {
  const int64_t size = int64_t{1} << unet.block_out_channels.size();
  ddgan_generator(scope, unet, mapping, input(graph, "x", Shape{1, size, size, unet.in_channels}),
                  input(graph, "t", Shape{1}), input(graph, "z", Shape{1, mapping.latent}),
                  labels_input(graph, mapping));
}

void declare_discriminator(Graph& graph, const Scope& scope, const DdganConfig& config) {
  const int64_t size = int64_t{1} << config.discriminator_channels.size();
  const Tensor x = input(graph, "image", Shape{1, size, size, config.unet.in_channels});
  ddgan_discriminator(scope, config, x, x, input(graph, "t", Shape{1}),
                      labels_input(graph, config.mapping));
}

ClassInput class_input(const LatentMappingConfig& config) {
  if (config.classes == 0) return {};
  return {ClassInput::Kind::kIndices, config.classes};
}

}  // namespace

namespace {

Result<NetworkConfig> join_latent_unet(const NetworkConfig& body, const NetworkConfig& part) {
  const auto* unet = std::any_cast<UNet2DConfig>(&body);
  const auto* mapping = std::any_cast<LatentMappingConfig>(&part);
  if (unet == nullptr || mapping == nullptr)
    return corrupt("{} beside a network that takes no latent", kLatentUNetParts.folder);
  return NetworkConfig(LatentUNetConfig{*unet, *mapping});
}

NetworkParts::Configs split_latent_unet(const NetworkConfig& whole) {
  const auto& config = std::any_cast<const LatentUNetConfig&>(whole);
  return {.body = config.unet, .part = config.mapping};
}

}  // namespace

const NetworkParts kLatentUNetParts = {.folder = "latent_mapping",
                                       .body = kUNet2D,
                                       .part = kLatentMapping,
                                       .join = join_latent_unet,
                                       .split = split_latent_unet};

Status check_latent_mapping(const LatentMappingConfig& config) {
  for (const auto& [field, value] : {std::pair{"latent", config.latent},
                                     {"layers", config.layers},
                                     {"features", config.features}}) {
    if (value <= 0 || value > 65536)
      return invalid_argument("{}: expected 1 to 65536, found {}", field, value);
  }
  if (config.classes < 0)
    return invalid_argument("classes: expected 0 or more, found {}", config.classes);
  return {};
}

Result<ParameterSet> latent_mapping_parameters(const LatentMappingConfig& config) {
  ITO_TRY(check_latent_mapping(config));
  return declare_parameters([&](Graph& graph, const Scope& scope) {
    latent_mapping(scope, config, input(graph, "z", Shape{1, config.latent}),
                   labels_input(graph, config));
  });
}

Tensor latent_mapping(const Scope& scope, const LatentMappingConfig& config, Tensor z,
                      Tensor labels) {
  CHECK(static_cast<bool>(labels) == (config.classes > 0),
        "labels are given exactly where the mapping is class-conditional");
  Tensor h = z * rsqrt(mean(square(z), {1}, /*keepdim=*/true) + kLatentNormEps);
  for (int64_t i = 1; i <= config.layers; ++i)
    h = silu(linear(scope / ("fc" + std::to_string(i)), h, config.features));
  if (labels) h = h + embedding(scope / "class_embedding", labels, config.classes, config.features);
  return h;
}

Status check_latent_unet(const UNet2DConfig& unet, const LatentMappingConfig& mapping) {
  ITO_TRY(check_latent_mapping(mapping));
  ITO_TRY(check_unet2d(unet));
  if (unet.class_embed_type != "identity")
    return invalid_argument("class_embed_type: expected \"identity\", which takes the latent");
  if (embedding_dim(unet) != mapping.features)
    return invalid_argument(
        "features of the latent mapping: expected time_embedding_dim, which is "
        "{}, found {}",
        embedding_dim(unet), mapping.features);
  if (unet.in_channels != unet.out_channels)
    return invalid_argument("out_channels: expected in_channels, which is {}, found {}",
                            unet.in_channels, unet.out_channels);
  return {};
}

Result<ParameterSet> latent_unet_parameters(const UNet2DConfig& unet,
                                            const LatentMappingConfig& mapping) {
  ITO_TRY(check_latent_unet(unet, mapping));
  return declare_parameters(
      [&](Graph& graph, const Scope& scope) { declare_generator(graph, scope, unet, mapping); });
}

Status check_ddgan(const DdganConfig& config) {
  ITO_TRY(check_latent_unet(config.unet, config.mapping));
  if (config.discriminator_channels.empty())
    return invalid_argument("discriminator_channels: expected at least one entry, found none");
  for (const int64_t channels : config.discriminator_channels) {
    if (channels <= 0 || channels % 2 != 0)
      return invalid_argument("discriminator_channels: expected even positive numbers, found {}",
                              channels);
  }
  return {};
}

Result<ParameterSet> ddgan_parameters(const DdganConfig& config) {
  ITO_TRY(check_ddgan(config));
  return declare_parameters([&](Graph& graph, const Scope& scope) {
    declare_generator(graph, scope, config.unet, config.mapping);
    declare_discriminator(graph, scope, config);
  });
}

Result<Network> latent_mapping_network(const LatentMappingConfig& config) {
  ITO_ASSIGN(ParameterSet set, latent_mapping_parameters(config));
  NetworkDefinition definition{.row = kLatentMapping, .config = config};
  definition.signature = {
      .in_channels = config.latent, .out_channels = config.features, .image_out = false};
  definition.signature.time = TimeInput::kNone;
  definition.signature.classes = class_input(config);
  definition.build = [config](const Scope& scope, Tensor z, Tensor, const Conditioning& given) {
    return latent_mapping(scope, config, z, given.classes);
  };
  return Network(std::move(definition), std::move(set));
}

Result<Network> ddgan_generator_network(const LatentUNetConfig& config) {
  ITO_ASSIGN(ParameterSet set, latent_unet_parameters(config.unet, config.mapping));
  NetworkDefinition definition{.row = kDdganGenerator, .config = config};
  definition.signature = {.in_channels = config.unet.in_channels,
                          .out_channels = config.unet.out_channels};
  definition.signature.sample_size = config.unet.sample_size;
  definition.signature.time = takes_sigma(config.unet) ? TimeInput::kSigma : TimeInput::kTimestep;
  definition.signature.classes = class_input(config.mapping);
  definition.signature.latent = config.mapping.latent;
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
    return ddgan_generator(scope, config.unet, config.mapping, x, t, given.latent, given.classes);
  };
  definition.check_size = [unet = config.unet](int64_t h, int64_t w) {
    return check_unet2d_size(unet, h, w);
  };
  return Network(std::move(definition), std::move(set));
}

Result<Network> ddgan_discriminator_network(const DdganConfig& config) {
  ITO_TRY(check_ddgan(config));
  NetworkDefinition definition{.row = kDdganDiscriminator, .config = config};
  definition.signature = {
      .in_channels = int64_t{2} * config.unet.in_channels, .out_channels = 1, .image_out = false};
  definition.signature.sample_size = config.unet.sample_size;
  definition.signature.classes = class_input(config.mapping);
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
    return discriminate(scope / "discriminator", config, x, t, given.classes);
  };
  definition.check_size = [levels = config.discriminator_channels.size()](int64_t h, int64_t w) {
    if (std::min(h, w) >> levels >= 1) return Status{};
    return Status(invalid_argument(
        "{} levels of a discriminator are too many to halve {}x{} images", levels, h, w));
  };
  ParameterSet set = declare_parameters(
      [&](Graph& graph, const Scope& scope) { declare_discriminator(graph, scope, config); });
  return Network(std::move(definition), std::move(set));
}

Tensor ddgan_generator(const Scope& scope, const UNet2DConfig& unet,
                       const LatentMappingConfig& mapping, Tensor x, Tensor t, Tensor z,
                       Tensor labels) {
  const Tensor style = latent_mapping(scope / "latent_mapping", mapping, z, labels);
  return tanh(unet2d(scope, unet, x, t, style));
}

Tensor ddgan_discriminator(const Scope& root, const DdganConfig& config, Tensor previous, Tensor x,
                           Tensor t, Tensor labels) {
  return discriminate(root / "discriminator", config, concat({previous, x}, 3), t, labels);
}

}  // namespace ito
