// A small convolutional image classifier, and its loss. It scores class-conditional samples
// (noise-free inputs). Not the noise-conditional classifier of classifier guidance.
#pragma once

#include "base/network_config.h"
#include "nn/network.h"

namespace ito {

// Its row in nn/networks.h, and a configuration of it as a network: x → logits.
inline constexpr std::string_view kClassifier = "classifier";
Result<Network> classifier_network(const ClassifierConfig& config);

struct NetworkTraining;  // nn/network_design.h
struct NetworkOptions;
const NetworkTraining& classifier_training();
// What a configuration says in the words of options: its levels and their groups.
void read_classifier(const ClassifierConfig& config, NetworkOptions& options);
// How the names of the parameters begin that depend on the number of classes.
inline constexpr std::string_view kClassifierHead = "head.";

// The error names the field, expected and found.
Status check_classifier(const ClassifierConfig& config);
// What the classifiers of this file and of nn/noisy_classifier.h share as networks.
Signature classifier_signature(const ClassifierConfig& config);
Status check_classifier_size(const ClassifierConfig& config, int64_t h, int64_t w);
// Parameters blocks.<i>.conv.{weight,bias}, blocks.<i>.norm.{weight,bias}, head.{weight,bias}.
Result<ParameterSet> classifier_parameters(const ClassifierConfig& config);

// x [n,image_size,image_size,in_channels] in [-1, 1] → logits [n, classes]. The head sees every
// remaining pixel, not their mean: where things are matters in centred images, and training then
// needs a fraction of the steps.
Tensor classifier(const Scope& scope, const ClassifierConfig& config, Tensor x);

// What the head sees, averaged over the pixels: [n, channels.back()]. So few numbers that a few
// hundred images settle their covariance: for Fréchet distances between sets of images.
Tensor classifier_features(const Scope& scope, const ClassifierConfig& config, Tensor x);

// The logit of each row's label: [n, 1].
Tensor label_logit(Tensor logits, Tensor labels);
// log softmax(logits)[label]: logits [n, classes], labels u32 or i32 [n], each in [0, classes) →
// [n].
Tensor label_log_probability(Tensor logits, Tensor labels);
// Mean over the batch of its negative → [].
Tensor softmax_cross_entropy(Tensor logits, Tensor labels);
// 1 where the largest logit is the label's (ties count), else 0: f32 [n].
Tensor is_correct(Tensor logits, Tensor labels);

}  // namespace ito
