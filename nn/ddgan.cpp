#include "nn/ddgan.h"

#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

constexpr double kSlope = 0.2;  // of the leaky ReLU
constexpr double kNormEps = 1e-8;

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

int64_t embedding_width(const UNet2DConfig& unet) {
  return unet.time_embedding_dim.value_or(4 * unet.block_out_channels[0]);
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

}  // namespace

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

std::optional<LatentMappingConfig> latent_mapping_of(const ParameterSet& set) {
  const auto shape_of = [&](const std::string& name) -> const Shape* {
    const Parameter* parameter = set.find("latent_mapping." + name);
    return parameter == nullptr ? nullptr : &parameter->spec.foreign_shape;
  };
  const auto layer = [](int64_t i) { return "fc" + std::to_string(i) + ".weight"; };
  const Shape* first = shape_of(layer(1));
  if (first == nullptr) return std::nullopt;
  LatentMappingConfig config{
      .latent = (*first)[1], .layers = 1, .features = (*first)[0], .classes = 0};
  while (shape_of(layer(config.layers + 1)) != nullptr) ++config.layers;
  if (const Shape* table = shape_of("class_embedding.weight")) config.classes = (*table)[0];
  return config;
}

Tensor latent_mapping(const Scope& scope, const LatentMappingConfig& config, Tensor z,
                      Tensor labels) {
  CHECK(static_cast<bool>(labels) == (config.classes > 0),
        "labels are given exactly where the mapping is class-conditional");
  Tensor h = z * rsqrt(mean(square(z), {1}, /*keepdim=*/true) + kNormEps);
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
  if (embedding_width(unet) != mapping.features)
    return invalid_argument(
        "features of the latent mapping: expected time_embedding_dim, which is "
        "{}, found {}",
        embedding_width(unet), mapping.features);
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
    const int64_t size = int64_t{1} << config.discriminator_channels.size();
    const Tensor x = input(graph, "image", Shape{1, size, size, config.unet.in_channels});
    ddgan_discriminator(scope, config, x, x, input(graph, "t", Shape{1}),
                        labels_input(graph, config.mapping));
  });
}

Tensor ddgan_generator(const Scope& scope, const UNet2DConfig& unet,
                       const LatentMappingConfig& mapping, Tensor x, Tensor t, Tensor z,
                       Tensor labels) {
  const Tensor style = latent_mapping(scope / "latent_mapping", mapping, z, labels);
  return tanh(unet2d(scope, unet, x, t, style));
}

Tensor ddgan_discriminator(const Scope& root, const DdganConfig& config, Tensor previous, Tensor x,
                           Tensor t, Tensor labels) {
  const Scope scope = root / "discriminator";
  const std::vector<int64_t>& channels = config.discriminator_channels;
  const Tensor features = timestep_embedding(t, time_features(config), /*flip_sin_to_cos=*/true,
                                             /*downscale_freq_shift=*/0);
  const Tensor time = leaky_relu(time_mlp(scope / "time_embedding", features, time_width(config)));
  Tensor h = conv2d(scope / "conv_in", concat({previous, x}, 3), channels[0]);
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

}  // namespace ito
