// A small convolutional image classifier, and its loss. It scores class-conditional samples
// (noise-free inputs). Not the noise-conditional classifier of classifier guidance.
#pragma once

#include <vector>

#include "nn/scope.h"

namespace ito {

struct ClassifierConfig {
  int64_t in_channels = 1;
  int64_t classes = 10;
  int64_t image_size = 32;  // height and width; a multiple of 2^(channels.size() - 1)
  // One 3x3 convolution, group norm and SiLU each; before all but the first a 2x2 mean halves the
  // image. (A strided convolution costs four times as much backwards: its input's gradient is a
  // convolution of the full size.)
  std::vector<int64_t> channels = {32, 64, 96, 96};
  int64_t norm_groups = 8;
  bool operator==(const ClassifierConfig&) const = default;
};

// The error names the field, expected and found.
Status check_classifier(const ClassifierConfig& config);
// Parameters blocks.<i>.conv.{weight,bias}, blocks.<i>.norm.{weight,bias}, head.{weight,bias}.
Result<ParameterSet> classifier_parameters(const ClassifierConfig& config);

// x [n,image_size,image_size,in_channels] in [-1, 1] → logits [n, classes]. The head sees every
// remaining pixel, not their mean: where things are matters in centred images, and training then
// needs a fraction of the steps.
Tensor classifier(const Scope& scope, const ClassifierConfig& config, Tensor x);

// What the head sees, averaged over the pixels: [n, channels.back()]. So few numbers that a few
// hundred images settle their covariance: for Fréchet distances between sets of images.
Tensor classifier_features(const Scope& scope, const ClassifierConfig& config, Tensor x);

// log softmax(logits)[label]: logits [n, classes], labels u32 or i32 [n], each in [0, classes) →
// [n].
Tensor label_log_probability(Tensor logits, Tensor labels);
// Mean over the batch of its negative → [].
Tensor softmax_cross_entropy(Tensor logits, Tensor labels);
// 1 where the largest logit is the label's (ties count), else 0: f32 [n].
Tensor is_correct(Tensor logits, Tensor labels);

}  // namespace ito
