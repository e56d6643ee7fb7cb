// The noise-conditional classifier p(y | x_t, t) of classifier guidance: the small classifier of
// nn/classifier.h with every normalisation scaled and shifted by features of the noise level.
// x_t = mean x_0 + std ε says no more about y than x_t/mean = x_0 + σ ε with σ = std/mean, so the
// network is told σ alone and one training serves the discrete chain and every SDE whose σ it saw.
// Not the gradient (diffusion/guidance.h).
#pragma once

#include "nn/classifier.h"

namespace ito {

// Its row in nn/networks.h, and a configuration of it as a network: x = x_0 + σ ε and σ → logits.
inline constexpr std::string_view kNoisyClassifier = "noisy_classifier";
Result<Network> noisy_classifier_network(const NoisyClassifierConfig& config);

const NetworkTraining& noisy_classifier_training();

// The configuration of such a network; null of another.
const NoisyClassifierConfig* noisy_classifier_config(const Network& network);

// The error names the field, expected and found.
Status check_noisy_classifier(const NoisyClassifierConfig& config);
// Parameters of nn/classifier.h; noise_embedding.linear_{1,2}.{weight,bias},
// blocks.<i>.noise_proj.{weight,bias}.
Result<ParameterSet> noisy_classifier_parameters(const NoisyClassifierConfig& config);

// x [n,image_size,image_size,in_channels] = mean x_0 + std ε; mean, std f32 [n], >= 0 and not both
// 0 → logits [n, classes]. The input is scaled to (x_0 + σ ε)/√(1 + σ²), which is of order one at
// every level, and the logits by 1/√(1 + σ²): where the image is lost in noise they must not depend
// on x, and guidance multiplies by σ² what is left of their slope. ln σ counts within [-8, 10],
// beyond which images are clean or hold nothing.
Tensor noisy_classifier(const Scope& scope, const NoisyClassifierConfig& config, Tensor x,
                        Tensor mean, Tensor std);

}  // namespace ito
