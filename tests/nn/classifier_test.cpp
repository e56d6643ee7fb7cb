#include "nn/classifier.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finite_difference.h"
#include "nn/train_step.h"
#include "program_runner.h"
#include "torch_random.h"

namespace ito {
namespace {

TEST(SoftmaxCrossEntropy, IsTheMeanNegativeLogLikelihood) {
  Graph graph;
  const Tensor logits = constant(graph, Shape{2, 3}, {1, 2, 3, 1000, 0, -1000});
  const Tensor labels = constant(graph, Shape{2}, {0, 1}, DType::kU32);
  const double first = std::log(std::exp(1.) + std::exp(2.) + std::exp(3.)) - 1;
  EXPECT_NEAR(evaluate(softmax_cross_entropy(logits, labels)).data[0], (first + 1000) / 2, 1e-9);
}

TEST(SoftmaxCrossEntropy, GradientIsSoftmaxMinusOneHot) {
  Graph graph;
  const Tensor logits = input(graph, "logits", Shape{2, 3});
  const Tensor labels = constant(graph, Shape{2}, {2, 0}, DType::kU32);
  const Tensor loss = softmax_cross_entropy(logits, labels);
  const HostValues inputs = {
      {"logits", host_value(Shape{2, 3}, std::vector<double>{0.1, -1, 0.7, 2, 0, 0.3})}};
  expect_gradient(loss, grad(loss, {logits})[0], "logits", inputs);
  const HostValue gradient = evaluate(grad(loss, {logits})[0], inputs);
  const double total = std::exp(0.1) + std::exp(-1.) + std::exp(0.7);
  EXPECT_NEAR(gradient.data[2], (std::exp(0.7) / total - 1) / 2, 1e-12);
}

TEST(IsCorrect, ComparesTheLargestLogitWithTheLabel) {
  Graph graph;
  const Tensor logits = constant(graph, Shape{3, 2}, {1, 2, 5, -1, 0, 3});
  const Tensor labels = constant(graph, Shape{3}, {1, 1, 1}, DType::kU32);
  EXPECT_EQ(evaluate(is_correct(logits, labels)).data, (std::vector<double>{1, 0, 1}));
}

TEST(Classifier, DefaultSizeAndNames) {
  const ParameterSet set = classifier_parameters({}).value();
  EXPECT_GT(set.count(), 100'000);
  EXPECT_LT(set.count(), 200'000);
  EXPECT_EQ(set.find("blocks.1.conv.weight")->spec.foreign_shape, (Shape{64, 32, 3, 3}));
  EXPECT_EQ(set.find("head.weight")->spec.foreign_shape, (Shape{10, 4 * 4 * 96}));
}

TEST(Classifier, RefusesWrongConfigurations) {
  ClassifierConfig config;
  config.channels = {12};
  EXPECT_NE(classifier_parameters(config).error().message.find("12"), std::string::npos);
  config.channels = {8, 8, 8};
  config.image_size = 30;
  EXPECT_NE(classifier_parameters(config).error().message.find("30"), std::string::npos);
  config.channels = {};
  EXPECT_NE(classifier_parameters(config).error().message.find("channels"), std::string::npos);
}

// Bright upper half against bright lower half, in noise.
TEST(Classifier, LearnsAToyTaskInFewSteps) {
  const ClassifierConfig config{
      .classes = 2, .image_size = 6, .channels = {4, 8}, .norm_groups = 2};
  const ParameterSet set = classifier_parameters(config).value();
  constexpr int64_t n = 8, size = 6;
  TrainStepOptions options;
  options.optimizer.learning_rate.base = 0.02;
  options.optimizer.average.kind = Average::Kind::kNone;
  const auto logits_of = [&](Graph& graph, const Scope& scope) {
    return classifier(scope, config, input(graph, "x", Shape{n, size, size, 1}));
  };
  const Program program = train_step_program(
      set,
      [&](Graph& graph, const Scope& scope, Tensor) {
        return softmax_cross_entropy(logits_of(graph, scope),
                                     input(graph, "label", Shape{n}, DType::kU32));
      },
      options);
  ProgramRunner runner;
  for (const StateTensor& tensor : train_state(set, options)) {
    runner.state[tensor.name] =
        host_value(tensor.shape, std::vector<double>(static_cast<size_t>(tensor.shape.numel())));
  }
  runner.state["params"] = host_value(Shape{set.size()}, initial_parameters(set, 1));
  TorchRandom random(2);
  const auto batch = [&] {
    const std::vector<float> noise = random.normal(n * size * size);
    std::vector<double> x, labels;
    for (int64_t i = 0; i < n; ++i) {
      labels.push_back(static_cast<double>(i % 2));
      for (int64_t p = 0; p < size * size; ++p) {
        const bool lower = p >= size * size / 2;
        x.push_back((lower == (i % 2 == 1) ? 0.8 : -0.8) +
                    0.3 * noise[static_cast<size_t>(i * size * size + p)]);
      }
    }
    return HostValues{{"x", host_value(Shape{n, size, size, 1}, std::move(x))},
                      {"label", host_value(Shape{n}, std::move(labels))}};
  };
  for (int k = 0; k < 25; ++k) runner.run(program, batch());
  Graph graph;
  const Tensor flat = input(graph, "params", Shape{set.size()});
  const Tensor correct =
      is_correct(logits_of(graph, Scope(set, flat)), input(graph, "label", Shape{n}, DType::kU32));
  HostValues test = batch();
  test["params"] = runner.state["params"];
  EXPECT_EQ(evaluate(mean_all(correct), test).data[0], 1);
}

}  // namespace
}  // namespace ito
