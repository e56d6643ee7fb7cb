// The validation loss against one rebuilt from its description: PyTorch's draws, x_t by the
// schedule's formula, the network's answer from api/forward.h, and a mean in double precision.
#include "api/validation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <span>

#include "api/device_weights.h"
#include "api/forward.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int64_t kImages = 300, kBatch = 128;  // two whole batches, the rest is left out
constexpr int kSide = 6, kPadded = 8;

ImageDataset pictures() {
  ImageDataset data;
  data.count = kImages;
  data.h = data.w = kSide;
  data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < kImages; ++i) {
    data.labels->push_back(i % 3);
    for (int p = 0; p < kSide * kSide; ++p)
      data.pixels.push_back(static_cast<uint8_t>((p * p * 5 + i * 37) % 256));
  }
  return data;
}

// One channel, so that NCHW and NHWC are the same: [128,1,8,8], black around the picture.
std::vector<float> padded_batch(const ImageDataset& data, std::span<const int64_t> images) {
  std::vector<float> x(kBatch * kPadded * kPadded, -1.0f);
  for (int64_t i = 0; i < kBatch; ++i)
    for (int64_t y = 0; y < kSide; ++y)
      for (int64_t w = 0; w < kSide; ++w)
        x[static_cast<size_t>((i * kPadded + y + 1) * kPadded + w + 1)] =
            static_cast<float>(data.pixels[static_cast<size_t>(
                (images[static_cast<size_t>(i)] * kSide + y) * kSide + w)]) /
                127.5f -
            1;
  return x;
}

// ᾱ of squaredcos_cap_v2 (Nichol and Dhariwal 2021, eq. 17): the product of 1 - β, β at most 0.999.
std::vector<double> cosine_alpha_bar(int timesteps) {
  const auto f = [](double t) {
    return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2);
  };
  std::vector<double> alpha_bar;
  double product = 1;
  for (int t = 0; t < timesteps; ++t) {
    product *= 1 - std::min(1 - f((t + 1.0) / timesteps) / f(t / double(timesteps)), 0.999);
    alpha_bar.push_back(product);
  }
  return alpha_bar;
}

// torch.randperm of seed 0, on the same Mersenne twister.
std::vector<int64_t> randperm(int64_t n) {
  std::mt19937 words(0);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = 0; i + 1 < order.size(); ++i)
    std::swap(order[i], order[i + words() % (order.size() - i)]);
  return order;
}

class ValidationLoss : public VulkanTest {};

TEST_F(ValidationLoss, IsTheMeanSquaredErrorOnPyTorchsDraws) {
  const ImageDataset data = pictures();
  TrainingOptions options;
  options.channels = {8, 16};
  ASSERT_OK_AND_ASSIGN(const TrainingTask task, make_task(options, data));
  ASSERT_EQ(task.height(), kPadded);
  Model model;
  model.network = task.network;
  model.scheduler = task.objective.scheduler;
  const ParameterSet& set = model.network.set();
  model.weights = initial_parameters(set, 3);
  ASSERT_OK_AND_ASSIGN(const DeviceWeights weights,
                       DeviceWeights::upload(device(), set, model.weights));
  ASSERT_OK_AND_ASSIGN(const auto validator, make_validator(device(), task, data, weights));
  EXPECT_EQ(validator->images(), 2 * kBatch);
  ASSERT_OK_AND_ASSIGN(const Judgement judgement, validator->measure());
  const double loss = judgement.value;

  const std::vector<double> alpha_bar = cosine_alpha_bar(1000);
  const std::vector<int64_t> order = randperm(kImages);
  TorchGenerator generator(7);
  const Shape nchw{kBatch, 1, kPadded, kPadded};
  constexpr size_t kPixels = kPadded * kPadded;
  double total = 0, answer = 0;
  for (int64_t first = 0; first < 2 * kBatch; first += kBatch) {
    std::vector<int64_t> t(kBatch), labels;
    generator.randint(t, 1000);
    const auto images = std::span(order).subspan(static_cast<size_t>(first), kBatch);
    std::vector<float> noise(kBatch * kPixels), x = padded_batch(data, images);
    generator.randn(noise);
    for (size_t k = 0; k < x.size(); ++k) {
      const double a = alpha_bar[static_cast<size_t>(t[k / kPixels])];
      x[k] = static_cast<float>(std::sqrt(a) * x[k] + std::sqrt(1 - a) * noise[k]);
    }
    for (int64_t i = 0; i < kBatch; ++i)
      labels.push_back((*data.labels)[static_cast<size_t>(images[static_cast<size_t>(i)])]);
    TensorFile inputs;
    inputs.tensors.emplace("sample", tensor_from_floats(nchw, x));
    inputs.tensors.emplace("timestep", tensor_from_int64({kBatch}, t));
    inputs.tensors.emplace("class_labels", tensor_from_int64({kBatch}, labels));
    ASSERT_OK_AND_ASSIGN(const TensorFile outputs, forward(device(), model, inputs, false, "test"));
    const std::vector<float> out = to_floats(outputs.tensors.at("out"));
    ASSERT_EQ(out.size(), noise.size());
    for (size_t k = 0; k < out.size(); ++k) {
      total += std::pow(double{out[k]} - noise[k], 2);
      answer += std::pow(out[k], 2);
    }
  }
  const double expected = total / static_cast<double>(2 * kBatch * kPixels);
  EXPECT_NEAR(loss, expected, 1e-5 * expected);
  // The network had a say in it.
  EXPECT_GT(answer, 1e-3 * total);
  // The same draws every time.
  EXPECT_EQ(validator->measure().value().value, loss);
}

TEST_F(ValidationLoss, LeavesNothingOut) {
  const ImageDataset data = pictures();
  std::vector<double> losses;
  for (const double dropout : {0.0, 0.5}) {
    TrainingOptions options;
    options.channels = {8, 16};
    options.dropout = dropout;
    ASSERT_OK_AND_ASSIGN(const TrainingTask task, make_task(options, data));
    const ParameterSet& set = task.network.set();
    ASSERT_OK_AND_ASSIGN(const DeviceWeights weights,
                         DeviceWeights::upload(device(), set, initial_parameters(set, 3)));
    ASSERT_OK_AND_ASSIGN(const auto validator, make_validator(device(), task, data, weights));
    ASSERT_OK_AND_ASSIGN(const Judgement judgement, validator->measure());
    losses.push_back(judgement.value);
  }
  EXPECT_EQ(losses[0], losses[1]);
}

}  // namespace
}  // namespace ito::test
