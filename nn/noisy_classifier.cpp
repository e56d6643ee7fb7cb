#include "nn/noisy_classifier.h"

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"
#include "nn/network_design.h"

namespace ito {
namespace {

constexpr double kNoisyNormEps = 1e-5;
constexpr double kLeastLogSigma = -8, kMostLogSigma = 10;
// Sinusoids of 50 (ln σ + 8): periods from an eighth of a factor e on.
constexpr double kNoiseScale = 50;
constexpr double kTiny = 1e-8;  // keeps logarithms finite

Tensor noise_embedding(const Scope& scope, const NoisyClassifierConfig& config, Tensor mean,
                       Tensor std) {
  Graph& graph = mean.graph();
  const Tensor tiny = scalar(graph, kTiny);
  const Tensor log_sigma = log(maximum(std, tiny)) - log(maximum(mean, tiny));
  const Tensor level = clamp(log_sigma, kLeastLogSigma, kMostLogSigma) - kLeastLogSigma;
  const Tensor features =
      timestep_embedding(level, config.noise_features, /*flip_sin_to_cos=*/false,
                         /*downscale_freq_shift=*/0, kNoiseScale);
  return silu(time_mlp(scope, features, config.embedding_features));
}

struct Block {
  Tensor x;     // [n, h, w, channels.back()], what the head reads
  Tensor norm;  // [n]: what the input was scaled by
};

Block last_block(const Scope& scope, const NoisyClassifierConfig& config, Tensor x, Tensor mean,
                 Tensor std) {
  const ClassifierConfig& image = config.image;
  const int64_t n = x.dim(0);
  CHECK((x.shape() == Shape{n, image.image_size, image.image_size, image.in_channels}),
        "the classifier takes images of another shape than " + x.shape().to_string());
  CHECK(mean.shape() == Shape{n} && std.shape() == Shape{n}, "one noise level per image expected");
  const Tensor embedding = noise_embedding(scope / "noise_embedding", config, mean, std);
  const Tensor norm = rsqrt(square(mean) + square(std));
  x = x * reshape(norm, {n, 1, 1, 1});
  for (size_t i = 0; i < image.channels.size(); ++i) {
    const Scope block = scope / "blocks" / static_cast<int64_t>(i);
    const int64_t channels = image.channels[i];
    if (i > 0) x = average_pool(x);
    x = conv2d(block / "conv", x, channels);
    x = group_norm(block / "norm", x, image.norm_groups, kNoisyNormEps);
    const Tensor modulation =
        reshape(linear(block / "noise_proj", embedding, 2 * channels), {n, 1, 1, 2 * channels});
    const Tensor scale = slice_axis(modulation, 3, 0, channels);
    const Tensor shift = slice_axis(modulation, 3, channels, 2 * channels);
    x = silu(x * (scale + 1.0) + shift);
  }
  return {x, norm};
}

}  // namespace

Status check_noisy_classifier(const NoisyClassifierConfig& config) {
  ITO_TRY(check_classifier(config.image));
  if (config.noise_features <= 0 || config.noise_features % 2 != 0)
    return invalid_argument("noise_features: expected a positive even number, found {}",
                            config.noise_features);
  if (config.embedding_features <= 0)
    return invalid_argument("embedding_features: expected a positive number, found {}",
                            config.embedding_features);
  return {};
}

Result<Network> noisy_classifier_network(const NoisyClassifierConfig& config) {
  ITO_ASSIGN(ParameterSet set, noisy_classifier_parameters(config));
  NetworkDefinition definition{.row = kNoisyClassifier, .config = config};
  definition.signature = classifier_signature(config.image);
  definition.signature.time = TimeInput::kSigma;
  definition.build = [config](const Scope& scope, Tensor x, Tensor sigma, const Conditioning&) {
    return noisy_classifier(scope, config, x, full(x.graph(), sigma.shape(), 1), sigma);
  };
  // Of images without noise.
  definition.features = ImageFeatures{
      .count = config.image.channels.back(), .build = [config](const Scope& scope, Tensor x) {
        const Shape n{x.dim(0)};
        const Tensor seen =
            last_block(scope, config, x, full(x.graph(), n, 1), full(x.graph(), n, 0)).x;
        return mean(seen, {1, 2});
      }};
  definition.check_size = [image = config.image](int64_t h, int64_t w) {
    return check_classifier_size(image, h, w);
  };
  return Network(std::move(definition), std::move(set));
}

namespace {

constexpr NetworkTraining kNoisyTraining = {
    .read =
        [](const NetworkConfig& config, NetworkOptions& options, ImageNeeds&) {
          read_classifier(std::any_cast<const NoisyClassifierConfig&>(config).image, options);
        },
    .class_parameters = kClassifierHead};

}  // namespace

const NetworkTraining& noisy_classifier_training() { return kNoisyTraining; }

const NoisyClassifierConfig* noisy_classifier_config(const Network& network) {
  return network.config_as<NoisyClassifierConfig>();
}

Result<ParameterSet> noisy_classifier_parameters(const NoisyClassifierConfig& config) {
  ITO_TRY(check_noisy_classifier(config));
  return declare_parameters([&](Graph& graph, const Scope& scope) {
    const int64_t size = config.image.image_size;
    noisy_classifier(scope, config,
                     input(graph, "x", Shape{1, size, size, config.image.in_channels}),
                     input(graph, "mean", Shape{1}), input(graph, "std", Shape{1}));
  });
}

Tensor noisy_classifier(const Scope& scope, const NoisyClassifierConfig& config, Tensor x,
                        Tensor mean, Tensor std) {
  const auto [block, norm] = last_block(scope, config, x, mean, std);
  const int64_t n = x.dim(0), features = block.dim(1) * block.dim(2) * block.dim(3);
  const Tensor logits =
      linear(scope / "head", reshape(block, Shape{n, features}), config.image.classes);
  return logits * reshape(mean * norm, {n, 1});
}

}  // namespace ito
