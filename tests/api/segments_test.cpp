// A device that gives memory in small pieces: training, checkpoints, gradients and samples of a
// network in several segments are those of the network in one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "api/forward.h"
#include "api/sampling.h"
#include "api/training.h"
#include "tests/api/saved_state.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr uint64_t kPiece = 128 << 10;
constexpr int kUpdates = 4;

ImageDataset tiny_images() {
  ImageDataset data;
  data.count = 4;
  data.h = data.w = 8;
  data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < data.count; ++i) {
    data.labels->push_back(i % 2);
    for (int p = 0; p < 64; ++p) data.pixels.push_back(static_cast<uint8_t>(p * 3 + i * 11));
  }
  return data;
}

// Small layers, but enough of them: about 500 kB of weights.
TrainingOptions options_of(double clip, int accumulate) {
  TrainingOptions options;
  options.channels = {16, 16, 16};
  options.layers_per_block = 2;
  options.batch = 2;
  options.clip = clip;
  options.accumulate = accumulate;
  return options;
}

class SegmentsOnADevice : public VulkanTest {
 protected:
  void SetUp() override {
    VulkanTest::SetUp();
    vk::DeviceOptions options = device_options(log_);
    options.max_allocation_bytes = kPiece;
    ASSERT_OK_AND_ASSIGN(small_, vk::Device::create(options));
  }

  ValidationLog log_;
  std::unique_ptr<vk::Device> small_;
  const ImageDataset data_ = tiny_images();
};

// All states after the updates.
Result<TensorFile> train(vk::Device& device, const TrainingTask& task, const ImageDataset& data,
                         int updates, const TensorFile* from = nullptr, int done = 0) {
  ITO_ASSIGN(const auto session, TrainingSession::create(device, task, data, 1));
  if (from != nullptr) ITO_TRY(session->load(*from, done));
  for (int k = done; k < updates; ++k) ITO_TRY(session->advance());
  return saved_state(*session);
}

// With clipping, whose norm is a sum of the segments' sums. Weights then differ by far less than a
// thousandth of what Adam moves them in an update, the rest by a few units in the last place of the
// largest.
void expect_near_training(const TensorFile& a, const TensorFile& b, const TrainingTask& task) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    const HostTensor& other = b.tensors.at(name);
    ASSERT_EQ(tensor.shape, other.shape) << name;
    if (tensor.type != HostType::kF32) {
      EXPECT_EQ(tensor, other) << name;
      continue;
    }
    const std::vector<float> x = to_floats(tensor), y = to_floats(other);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      largest = std::max(largest, std::abs(double{x[i]}));
      difference = std::max(difference, std::abs(double{x[i]} - y[i]));
    }
    const bool weights = name == state_name::kParameters || name == state_name::kAverage;
    EXPECT_LE(difference, weights ? 1e-3 * task.step.optimizer.learning_rate.base : 2e-6 * largest)
        << name;
  }
}

// Without clipping bit for bit, losses included.
TEST_F(SegmentsOnADevice, TrainingIsThatOfOneTensor) {
  for (const int accumulate : {1, 2})
    for (const double clip : {0.0, 0.01}) {
      const TrainingTask task = make_task(options_of(clip, accumulate), data_).value();
      const Network cut = task.network.for_device(small_->caps()).value();
      ASSERT_GE(cut.set().segments().size(), 3u);
      ASSERT_OK_AND_ASSIGN(const TensorFile whole, train(device(), task, data_, kUpdates));
      ASSERT_OK_AND_ASSIGN(const TensorFile parts, train(*small_, task, data_, kUpdates));
      if (clip == 0) {
        EXPECT_EQ(whole, parts) << "accumulation " << accumulate;
      } else {
        expect_near_training(whole, parts, task);
      }
    }
}

TEST_F(SegmentsOnADevice, ACheckpointGoesOnOnAnyDevice) {
  const TrainingTask task = make_task(options_of(0, 1), data_).value();
  ASSERT_OK_AND_ASSIGN(const TensorFile whole, train(*small_, task, data_, kUpdates));
  ASSERT_OK_AND_ASSIGN(const TensorFile half, train(*small_, task, data_, 2));
  EXPECT_EQ(half.tensors.count("params"), 1u);
  EXPECT_EQ(half.tensors.count("params.0"), 0u);
  for (vk::Device* second : {small_.get(), &device()}) {
    ASSERT_OK_AND_ASSIGN(const TensorFile resumed, train(*second, task, data_, kUpdates, &half, 2));
    EXPECT_EQ(resumed, whole);
  }
}

TEST_F(SegmentsOnADevice, SamplesValidationAndAveragesAreThoseOfOneTensor) {
  const TrainingTask task = make_task(options_of(0, 1), data_).value();
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 3;
  options.batch = 2;
  const std::vector<SampleRequest> requests = {{.seed = 1, .label = 0}, {.seed = 2, .label = 1}};
  std::vector<std::vector<float>> images, weights;
  std::vector<double> validations;
  for (vk::Device* on : {&device(), small_.get()}) {
    ASSERT_OK_AND_ASSIGN(const auto session, TrainingSession::create(*on, task, data_, 1));
    ASSERT_OK_AND_ASSIGN(const auto sampling,
                         SamplingSession::create(*on, task.network, task.objective.scheduler,
                                                 session->average(), options));
    ASSERT_OK_AND_ASSIGN(images.emplace_back(), sampling->sample(requests));
    ASSERT_OK_AND_ASSIGN(weights.emplace_back(), session->average().read());
    // In parts that begin and end within segments and at their ends.
    for (const size_t size : {size_t{1000}, weights.back().size() - 1, weights.back().size()}) {
      std::vector<float> parts(weights.back().size());
      for (size_t first = 0; first < parts.size(); first += size)
        ASSERT_OK(session->average().read_part(
            static_cast<int64_t>(first),
            std::span(parts).subspan(first, std::min(size, parts.size() - first))));
      EXPECT_EQ(parts, weights.back()) << size;
    }
    ASSERT_OK_AND_ASSIGN(const auto validator,
                         task.objective.validation.make(*on, task, data_, session->average()));
    ASSERT_OK_AND_ASSIGN(const Judgement judgement, validator->measure());
    validations.push_back(judgement.value);
  }
  EXPECT_EQ(images[0], images[1]);
  EXPECT_EQ(weights[0], weights[1]);
  EXPECT_EQ(validations[0], validations[1]);
}

TEST_F(SegmentsOnADevice, ForwardAndItsGradientsAreThoseOfOneTensor) {
  const TrainingTask task = make_task(options_of(0, 1), data_).value();
  Model model;
  model.network = task.network;
  model.weights = initial_parameters(task.network.set(), 5);
  TensorFile inputs;
  std::vector<float> sample, target;
  for (int i = 0; i < 2 * 64; ++i) {
    sample.push_back(std::sin(0.7f * static_cast<float>(i)));
    target.push_back(std::cos(0.3f * static_cast<float>(i)));
  }
  inputs.tensors.emplace("sample", tensor_from_floats({2, 1, 8, 8}, sample));
  inputs.tensors.emplace("target", tensor_from_floats({2, 1, 8, 8}, target));
  inputs.tensors.emplace("timestep", tensor_from_floats({2}, {3, 500}));
  inputs.tensors.emplace("class_labels", tensor_from_uint32({2}, {0, 1}));
  ASSERT_OK_AND_ASSIGN(const TensorFile whole, forward(device(), model, inputs, true, "test"));
  ASSERT_OK_AND_ASSIGN(const TensorFile parts, forward(*small_, model, inputs, true, "test"));
  EXPECT_EQ(whole, parts);
  EXPECT_GT(whole.tensors.size(), 20u);
}

TEST_F(SegmentsOnADevice, ALayerThatFitsNoPieceIsNamed) {
  TrainingOptions options = options_of(0, 1);
  options.channels = {64};
  const TrainingTask task = make_task(options, data_).value();
  const auto session = TrainingSession::create(*small_, task, data_, 1);
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(session.error().message.find("parameter "), std::string::npos)
      << session.error().message;
  EXPECT_NE(session.error().message.find("numbers"), std::string::npos) << session.error().message;
}

}  // namespace
}  // namespace ito::test
