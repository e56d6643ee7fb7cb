#include "nn/noisy_classifier.h"

#include <gtest/gtest.h>

#include "finite_difference.h"
#include "program_runner.h"
#include "torch_random.h"

namespace ito {
namespace {

NoisyClassifierConfig small() {
  return {.image = {.in_channels = 2, .classes = 3, .image_size = 4, .channels = {8, 8}},
          .noise_features = 8,
          .embedding_features = 16};
}

struct Network {
  NoisyClassifierConfig config = small();
  ParameterSet set = noisy_classifier_parameters(config).value();
  std::vector<float> weights = initial_parameters(set, 3);

  std::vector<double> logits(const std::vector<double>& x, std::vector<double> mean,
                             std::vector<double> std) const {
    const int64_t n = static_cast<int64_t>(mean.size());
    Graph graph;
    const Tensor flat = input(graph, "flat", Shape{set.size()});
    const Tensor y = noisy_classifier(Scope(set, flat), config, input(graph, "x", {n, 4, 4, 2}),
                                      input(graph, "mean", {n}), input(graph, "std", {n}));
    return evaluate(y, {{"flat", host_value(Shape{set.size()}, weights)},
                        {"x", host_value(Shape{n, 4, 4, 2}, x)},
                        {"mean", host_value(Shape{n}, std::move(mean))},
                        {"std", host_value(Shape{n}, std::move(std))}})
        .data;
  }
};

std::vector<double> normal(uint64_t seed, size_t count) {
  TorchRandom random(seed);
  const std::vector<float> values = random.normal(static_cast<int64_t>(count));
  return {values.begin(), values.end()};
}

TEST(NoisyClassifier, DependsOnTheRatioOfNoiseToSignalOnly) {
  const Network network;
  const std::vector<double> x = normal(1, 32);
  std::vector<double> scaled = x;
  for (double& value : scaled) value *= 0.25;
  const std::vector<double> ve = network.logits(x, {1}, {2});
  const std::vector<double> vp = network.logits(scaled, {0.25}, {0.5});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(ve[i], vp[i], 1e-9);
  EXPECT_NE(ve, network.logits(x, {1}, {0.5}));
}

TEST(NoisyClassifier, EachImageHasItsOwnLevel) {
  const Network network;
  const std::vector<double> one = normal(1, 32), two = normal(2, 32);
  std::vector<double> both = one;
  both.insert(both.end(), two.begin(), two.end());
  const std::vector<double> together = network.logits(both, {1, 0.5}, {0.1, 0.8});
  const std::vector<double> first = network.logits(one, {1}, {0.1});
  const std::vector<double> second = network.logits(two, {0.5}, {0.8});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(together[i], first[i], 1e-9);
    EXPECT_NEAR(together[3 + i], second[i], 1e-9);
  }
}

TEST(NoisyClassifier, EndsOfTheScheduleAreFinite) {
  const Network network;
  const std::vector<double> x = normal(1, 32);
  for (const auto& [mean, std] : {std::pair{1.0, 0.0}, {0.0, 1.0}, {1e-4, 1.0}, {1.0, 1e-6}}) {
    for (double value : network.logits(x, {mean}, {std})) EXPECT_TRUE(std::isfinite(value)) << mean;
  }
}

TEST(NoisyClassifier, GradientOfTheImageMatchesFiniteDifferences) {
  const Network network;
  Graph graph;
  const Tensor flat = input(graph, "flat", Shape{network.set.size()});
  const Tensor x = input(graph, "x", {2, 4, 4, 2});
  const Tensor labels = constant(graph, {2}, {2, 0}, DType::kU32);
  const Tensor logits =
      noisy_classifier(Scope(network.set, flat), network.config, x, constant(graph, {2}, {1, 0.5}),
                       constant(graph, {2}, {0.3, 0.9}));
  const Tensor total = sum_all(label_log_probability(logits, labels));
  expect_gradient(total, grad(total, {x})[0], "x",
                  {{"flat", host_value(Shape{network.set.size()}, network.weights)},
                   {"x", host_value(Shape{2, 4, 4, 2}, normal(5, 64))}});
}

TEST(NoisyClassifier, RefusesWrongConfigurations) {
  NoisyClassifierConfig config = small();
  config.noise_features = 7;
  EXPECT_NE(noisy_classifier_parameters(config).error().message.find("7"), std::string::npos);
  config = small();
  config.embedding_features = 0;
  EXPECT_NE(noisy_classifier_parameters(config).error().message.find("embedding_features"),
            std::string::npos);
  config = small();
  config.image.channels = {12};
  EXPECT_NE(noisy_classifier_parameters(config).error().message.find("12"), std::string::npos);
}

}  // namespace
}  // namespace ito
