// Who counts the recognised samples: a classifier that knows its data counts all right labels and
// no wrong one, and the shipped classifier recognises what the shipped model draws.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "api/model.h"
#include "api/sampling.h"
#include "api/scoring.h"
#include "api/training.h"
#include "api/validation.h"
#include "tests/support/folders.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int kClasses = 3, kSide = 8;
// More than the validator's batch of 128, and no multiple of it.
constexpr int kImages = 150;

// Class k has a bright band of its own over a dark ground, with some texture.
ImageDataset bands() {
  ImageDataset data;
  data.count = kImages;
  data.h = data.w = kSide;
  data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < kImages; ++i) {
    const int label = i % kClasses;
    data.labels->push_back(label);
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x)
        data.pixels.push_back(
            static_cast<uint8_t>((y / 3 == label ? 190 : 20) + (y * 7 + x * 13 + i * 5) % 40));
  }
  return data;
}

std::vector<int32_t> shifted(std::vector<int32_t> labels) {
  for (int32_t& label : labels) label = (label + 1) % kClasses;
  return labels;
}

class Recognition : public VulkanTest {
 protected:
  // A classifier trained on the bands for a second.
  void SetUp() override {
    VulkanTest::SetUp();
    if (HasFatalFailure()) return;
    TrainingOptions options;
    options.classifier = true;
    options.channels = {8, 16};
    options.batch = 15;
    options.warmup = 5;
    options.lr = 0.02;
    ASSERT_OK_AND_ASSIGN(task_, make_task(options, data_));
    ASSERT_OK_AND_ASSIGN(session_, TrainingSession::create(device(), task_, data_, 1));
    for (int k = 0; k < 40; ++k) ASSERT_OK(session_->advance());
  }
  // Before the device.
  void TearDown() override {
    session_.reset();
    VulkanTest::TearDown();
  }

  Component model() const { return {task_.network, session_->average().read().value()}; }
  double accuracy(const ImageDataset& data) {
    auto validator = make_validator(device(), task_, data, session_->average());
    EXPECT_TRUE(validator.ok());
    return validator.ok() ? (*validator)->measure().value().value : NAN;
  }

  ImageDataset data_ = bands();
  TrainingTask task_;
  std::unique_ptr<TrainingSession> session_;
};

TEST_F(Recognition, CountsAllRightLabelsAndNoWrongOne) {
  const Component classifier = model();
  constexpr int64_t kBatch = 64;  // the last of three batches is short
  ASSERT_OK_AND_ASSIGN(const auto scorer,
                       Scorer::create(device(), classifier, {kBatch, kSide, kSide, 1}));
  const auto count = [&](const std::vector<int32_t>& labels) {
    int64_t recognised = 0;
    for (int64_t first = 0; first < kImages; first += kBatch) {
      std::vector<int64_t> indices(static_cast<size_t>(std::min(kBatch, kImages - first)));
      std::iota(indices.begin(), indices.end(), first);
      std::vector<float> images(indices.size() * kSide * kSide);
      EXPECT_TRUE(normalised_images(data_, indices, kSide, kSide, images.data()).ok());
      const auto begin = labels.begin() + first;
      const std::vector<uint32_t> part(begin, begin + static_cast<int64_t>(indices.size()));
      recognised += scorer->count_recognised(images, part).value();
    }
    return recognised;
  };
  EXPECT_EQ(count(*data_.labels), kImages);
  EXPECT_EQ(count(shifted(*data_.labels)), 0);
  std::vector<int32_t> one_wrong = *data_.labels;
  one_wrong.back() = (one_wrong.back() + 1) % kClasses;
  EXPECT_EQ(count(one_wrong), kImages - 1);
  const auto unknown =
      scorer->count_recognised(std::vector<float>(kSide * kSide), std::vector<uint32_t>{kClasses});
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("class 3 does not exist"), std::string::npos);
}

TEST_F(Recognition, AccuracyIsTheShareOfAllTestImages) {
  EXPECT_EQ(accuracy(data_), 1);
  ImageDataset wrong = data_;
  wrong.labels = shifted(*data_.labels);
  EXPECT_EQ(accuracy(wrong), 0);
  // One wrong label in the last batch, whose surplus repeats that image and must not count.
  wrong = data_;
  wrong.labels->back() = (wrong.labels->back() + 1) % kClasses;
  EXPECT_NEAR(accuracy(wrong), 1 - 1.0 / kImages, 1e-12);
}

uint64_t folder_bytes(const Path& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

class ShippedModels : public VulkanTest {};

TEST_F(ShippedModels, AreSmall) {
  constexpr uint64_t kMostBytes = 8'000'000;
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() + "/models")) {
    if (!entry.is_directory()) continue;
    ++models;
    EXPECT_LE(folder_bytes(entry.path()), kMostBytes) << entry.path();
  }
  EXPECT_GE(models, 2);
}

// The README's 80% is of DDPM with 250 steps; of these twenty by 20 steps of DDIM it recognises 14.
// Ten are out of reach of a model that draws anything else: chance is one in ten.
TEST_F(ShippedModels, TheClassifierRecognisesWhatTheModelDraws) {
  ASSERT_OK_AND_ASSIGN(const Model model, load_model(source_folder() + "/models/fashion-mnist"));
  ASSERT_OK_AND_ASSIGN(const Component classifier,
                       load_classifier(source_folder() + "/models/fashion-mnist-classifier"));
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 20;
  options.batch = 20;
  ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
  std::vector<SampleRequest> requests;
  std::vector<uint32_t> labels, others;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    requests.push_back({.seed = seed, .label = seed % 10});
    labels.push_back(seed % 10);
    others.push_back((seed + 3) % 10);
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<float> images, session->sample(requests));
  ASSERT_OK_AND_ASSIGN(const auto scorer, Scorer::create(device(), classifier, session->shape(20)));
  const int64_t recognised = scorer->count_recognised(images, labels).value();
  EXPECT_GE(recognised, 10);
  EXPECT_LE(scorer->count_recognised(images, others).value(), 20 - recognised);
  RecordProperty("recognised", static_cast<int>(recognised));
}

}  // namespace
}  // namespace ito::test
