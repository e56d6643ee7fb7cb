#include "nn/classifier.h"

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"
#include "nn/network_design.h"

namespace ito {
namespace {

constexpr double kClassifierNormEps = 1e-5;

}  // namespace

Status check_classifier(const ClassifierConfig& config) {
  for (const auto& [field, value] : {std::pair{"in_channels", config.in_channels},
                                     {"classes", config.classes},
                                     {"image_size", config.image_size},
                                     {"norm_groups", config.norm_groups}}) {
    if (value <= 0)
      return invalid_argument("{}: expected a positive number, found {}", field, value);
  }
  if (config.channels.empty()) {
    return invalid_argument("channels: expected at least one entry, found none");
  }
  const int64_t divisor = int64_t{1} << (config.channels.size() - 1);
  if (config.channels.size() > 30 || config.image_size % divisor != 0) {
    return invalid_argument("image_size: expected a multiple of 2^{} for {} halvings, found {}",
                            config.channels.size() - 1, config.channels.size() - 1,
                            config.image_size);
  }
  for (int64_t channels : config.channels) {
    if (channels <= 0 || channels % config.norm_groups != 0) {
      return invalid_argument("channels: expected positive multiples of norm_groups {}, found {}",
                              config.norm_groups, channels);
    }
  }
  return {};
}

Result<Network> classifier_network(const ClassifierConfig& config) {
  ITO_ASSIGN(ParameterSet set, classifier_parameters(config));
  NetworkDefinition definition{.row = kClassifier, .config = config};
  definition.signature = classifier_signature(config);
  definition.signature.time = TimeInput::kNone;
  definition.build = [config](const Scope& scope, Tensor x, Tensor, const Conditioning&) {
    return classifier(scope, config, x);
  };
  definition.features = ImageFeatures{.count = config.channels.back(),
                                      .build = [config](const Scope& scope, Tensor x) {
                                        return classifier_features(scope, config, x);
                                      }};
  definition.check_size = [config](int64_t h, int64_t w) {
    return check_classifier_size(config, h, w);
  };
  return Network(std::move(definition), std::move(set));
}

namespace {

constexpr NetworkTraining kClassifierTraining = {
    .read =
        [](const NetworkConfig& config, NetworkOptions& options, ImageNeeds&) {
          read_classifier(std::any_cast<const ClassifierConfig&>(config), options);
        },
    .class_parameters = kClassifierHead};

}  // namespace

const NetworkTraining& classifier_training() { return kClassifierTraining; }

void read_classifier(const ClassifierConfig& config, NetworkOptions& options) {
  options.channels.assign(config.channels.begin(), config.channels.end());
  options.norm_groups = static_cast<int>(config.norm_groups);
}

Signature classifier_signature(const ClassifierConfig& config) {
  const int size = static_cast<int>(config.image_size);
  Signature signature{.in_channels = config.in_channels, .out_channels = config.classes};
  signature.image_out = false;
  signature.sample_size = std::array<int, 2>{size, size};
  return signature;
}

Status check_classifier_size(const ClassifierConfig& config, int64_t h, int64_t w) {
  if (h == config.image_size && w == config.image_size) return {};
  return invalid_argument("the classifier judges {}x{} images, found {}x{}", config.image_size,
                          config.image_size, h, w);
}

Result<ParameterSet> classifier_parameters(const ClassifierConfig& config) {
  ITO_TRY(check_classifier(config));
  return declare_parameters([&](Graph& graph, const Scope& scope) {
    const int64_t size = config.image_size;
    classifier(scope, config, input(graph, "x", Shape{1, size, size, config.in_channels}));
  });
}

namespace {

// What the head reads: [n, h, w, channels.back()].
Tensor last_block(const Scope& scope, const ClassifierConfig& config, Tensor x) {
  CHECK((x.shape() == Shape{x.dim(0), config.image_size, config.image_size, config.in_channels}),
        "the classifier takes images of another shape than " + x.shape().to_string());
  for (size_t i = 0; i < config.channels.size(); ++i) {
    const Scope block = scope / "blocks" / static_cast<int64_t>(i);
    if (i > 0) x = average_pool(x);
    x = conv2d(block / "conv", x, config.channels[i]);
    x = silu(group_norm(block / "norm", x, config.norm_groups, kClassifierNormEps));
  }
  return x;
}

}  // namespace

Tensor classifier_features(const Scope& scope, const ClassifierConfig& config, Tensor x) {
  return mean(last_block(scope, config, x), {1, 2});
}

Tensor classifier(const Scope& scope, const ClassifierConfig& config, Tensor x) {
  x = last_block(scope, config, x);
  const int64_t features = x.dim(1) * x.dim(2) * x.dim(3);
  return linear(scope / "head", reshape(x, Shape{x.dim(0), features}), config.classes);
}

Tensor label_logit(Tensor logits, Tensor labels) {
  CHECK(logits.rank() == 2 && labels.shape() == Shape{logits.dim(0)},
        "logits " + logits.shape().to_string() + " with labels " + labels.shape().to_string());
  const Tensor index = iota(logits.graph(), logits.shape(), 1, labels.dtype());
  const Tensor hit = equal(index, reshape(labels, Shape{labels.dim(0), 1}));
  return sum(select(hit, logits, scalar(logits.graph(), 0)), {1}, /*keepdim=*/true);
}

Tensor label_log_probability(Tensor logits, Tensor labels) {
  const Tensor log_probability =
      label_logit(logits, labels) - logsumexp(logits, {1}, /*keepdim=*/true);
  return reshape(log_probability, Shape{logits.dim(0)});
}

Tensor softmax_cross_entropy(Tensor logits, Tensor labels) {
  return -mean_all(label_log_probability(logits, labels));
}

Tensor is_correct(Tensor logits, Tensor labels) {
  const Tensor best = max(logits, {1}, /*keepdim=*/true);
  const Tensor miss = less(label_logit(logits, labels), best);
  return reshape(cast(logical_not(miss), DType::kF32), Shape{logits.dim(0)});
}

}  // namespace ito
