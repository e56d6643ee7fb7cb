// TrainingSession and its parts in this process: order of images, options, state, and what a step
// costs the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

#include "api/training.h"
#include "api/training_options.h"
#include "io/datasets/batch_order.h"
#include "tests/api/saved_state.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

TEST(BatchOrder, EveryEpochIsADifferentPermutation) {
  BatchOrder order(10, 3);
  std::vector<int64_t> first = order.images(0, 10), second = order.images(10, 10);
  EXPECT_NE(first, second);
  std::vector<int64_t> all(10);
  std::iota(all.begin(), all.end(), int64_t{0});
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, all);
  EXPECT_EQ(second, all);
}

TEST(BatchOrder, DependsOnSeedAndPlaceOnly) {
  BatchOrder straight(7, 5), jumping(7, 5), other(7, 6);
  std::vector<int64_t> sequence;
  for (int64_t place = 0; place < 21; place += 3) {
    const auto part = straight.images(place, 3);
    sequence.insert(sequence.end(), part.begin(), part.end());
  }
  EXPECT_EQ(jumping.images(5, 12),
            std::vector<int64_t>(sequence.begin() + 5, sequence.begin() + 17));
  EXPECT_NE(other.images(0, 21), sequence);
}

TEST(TrainingOptions, SurviveJson) {
  TrainingOptions options;
  options.channels = {8, 24};
  options.lr = 3e-4;
  options.classes = false;
  options.dropout = 0.1;
  options.seed = ~uint64_t{0};
  EXPECT_EQ(training_options_from_json(to_json(options), "run.json").value(), options);
}

TEST(TrainingOptions, DefaultsMakeTheNetworkOf687409Weights) {
  ImageDataset data;
  data.h = data.w = 28;
  data.c = 1;
  data.labels = std::vector<int32_t>{9};
  const TrainingTask task = make_task({}, data).value();
  EXPECT_EQ(task.network.set().count(), 687409);
  EXPECT_EQ(task.batch_shape, (Shape{32, 32, 32, 1}));
}

ImageDataset tiny_images() {
  ImageDataset data;
  data.count = 20;
  data.h = data.w = 8;
  data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < 20; ++i) {
    data.labels->push_back(i % 2);
    for (int p = 0; p < 64; ++p) data.pixels.push_back(static_cast<uint8_t>(p * 3 + i * 11));
  }
  return data;
}

TrainingOptions tiny_options() {
  TrainingOptions options;
  options.channels = {8, 16};
  options.batch = 4;
  return options;
}

class TrainingSessionTest : public VulkanTest {};

TEST_F(TrainingSessionTest, StepsNeitherAllocateNorCompileNorWait) {
  const ImageDataset data = tiny_images();
  const TrainingTask task = make_task(tiny_options(), data).value();
  auto session = TrainingSession::create(device(), task, data, 1).value();
  // Until the executor has measured itself, and the ring and the pool have what they need.
  for (int k = 0; k < 16; ++k) {
    ASSERT_TRUE(session->advance().ok());
    ASSERT_TRUE(session->request_report(1).ok());
  }
  while (session->report_pending()) ASSERT_TRUE(session->take_report(true).ok());
  const vk::Counters before = device().counters();
  for (int k = 0; k < 16; ++k) ASSERT_TRUE(session->advance().ok());
  const vk::Counters steps = device().counters();
  ASSERT_TRUE(session->request_report(16).ok());
  const vk::Counters after = device().counters();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.memory_blocks, before.memory_blocks);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.glsl_compilations, before.glsl_compilations);
  EXPECT_EQ(after.host_waits, before.host_waits);
  EXPECT_EQ(steps.submits, before.submits + 16);
  // The one permitted wait is back-pressure: with eight submissions in flight, the host lets the
  // device catch up before the next. Never before the ninth, and at most once for each.
  EXPECT_LE(steps.throttle_waits - before.throttle_waits, steps.submits - before.submits - 8);
  // Of each step only the copy of its batch is recorded, not the step.
  EXPECT_EQ(steps.recordings, before.recordings + 16);
  const auto report = session->take_report(true).value();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->step, 32);
  EXPECT_GT(report->loss, 0);
}

// That the mean gradient is right is a test of nn.
// Batches lie ready when the device wants them, also of images that are decoded for each. One in
// ten may be late: where other programs have the processors, a thread may not run for as long as a
// step.
TEST_F(TrainingSessionTest, BatchesAreMadeBeforeTheyAreWanted) {
  for (const bool decoded : {false, true}) {
    ImageDataset data = tiny_images();
    if (decoded) {
      const auto decode = [pixels = data.pixels](int64_t i) -> Result<Picture> {
        Picture picture{.h = 8, .w = 8, .c = 1, .samples = {}};
        const auto begin = pixels.begin() + 64 * i;
        picture.samples.assign(begin, begin + 64);
        return picture;
      };
      data.files = std::make_shared<const PictureFiles>(PictureFiles{.hash = 0, .decode = decode});
      data.pixels.clear();
    }
    const TrainingTask task = make_task(tiny_options(), data).value();
    auto session = TrainingSession::create(device(), task, data, 1).value();
    for (int k = 0; k < 16; ++k) ASSERT_TRUE(session->advance().ok());
    const int64_t before = session->loader()->waits();
    for (int k = 0; k < 50; ++k) ASSERT_TRUE(session->advance().ok());
    EXPECT_LE(session->loader()->waits() - before, 5) << decoded;
  }
}

TEST_F(TrainingSessionTest, AccumulationAndDropoutResumeBitForBit) {
  const ImageDataset data = tiny_images();
  TrainingOptions options = tiny_options();
  options.accumulate = 2;
  options.dropout = 0.25;
  const TrainingTask task = make_task(options, data).value();
  auto whole = TrainingSession::create(device(), task, data, 1).value();
  for (int k = 0; k < 5; ++k) ASSERT_TRUE(whole->advance().ok());
  auto first = TrainingSession::create(device(), task, data, 1).value();
  for (int k = 0; k < 3; ++k) ASSERT_TRUE(first->advance().ok());
  auto second = TrainingSession::create(device(), task, data, 1).value();
  ASSERT_TRUE(second->load(saved_state(*first), 3).ok());
  for (int k = 0; k < 2; ++k) ASSERT_TRUE(second->advance().ok());
  EXPECT_EQ(saved_state(*whole), saved_state(*second));
}

// Noise, timesteps, left-out classes, mirrored images and dropout are of an image's place in the
// whole batch, so the losses and weights are those of the whole batch but for the order of sums.
TEST_F(TrainingSessionTest, MicrobatchesSeeWhatTheWholeBatchSees) {
  const ImageDataset data = tiny_images();
  TrainingOptions options = tiny_options();
  options.batch = 8;
  options.flip = true;
  options.dropout = 0.25;
  options.class_dropout = 0.3;
  const TrainingTask whole_task = make_task(options, data).value();
  auto whole = TrainingSession::create(device(), whole_task, data, 1).value();
  for (int k = 0; k < 3; ++k) ASSERT_TRUE(whole->advance().ok());
  const TensorFile expected = saved_state(*whole);
  for (const int64_t microbatch : {1, 4, 8}) {
    options.microbatch = microbatch;
    const TrainingTask task = make_task(options, data).value();
    auto session = TrainingSession::create(device(), task, data, 1).value();
    for (int k = 0; k < 3; ++k) ASSERT_TRUE(session->advance().ok());
    const TensorFile state = saved_state(*session);
    ASSERT_EQ(state.tensors.size(), expected.tensors.size());
    const auto numbers = [](const TensorFile& file) {
      const auto bytes = std::as_bytes(std::span(file.tensors.at("loss_history").bytes));
      std::vector<float> losses(3);
      std::memcpy(losses.data(), bytes.data(), 3 * sizeof(float));
      return losses;
    };
    for (size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(numbers(state)[k], numbers(expected)[k], 1e-4F) << microbatch;
  }
}

TEST_F(TrainingSessionTest, MicrobatchesResumeBitForBitAndMayBegin) {
  const ImageDataset data = tiny_images();
  TrainingOptions options = tiny_options();
  options.batch = 8;
  options.dropout = 0.25;
  const TrainingTask plain = make_task(options, data).value();
  options.microbatch = 2;
  const TrainingTask task = make_task(options, data).value();
  auto whole = TrainingSession::create(device(), task, data, 1).value();
  for (int k = 0; k < 5; ++k) ASSERT_TRUE(whole->advance().ok());
  auto first = TrainingSession::create(device(), task, data, 1).value();
  for (int k = 0; k < 3; ++k) ASSERT_TRUE(first->advance().ok());
  auto second = TrainingSession::create(device(), task, data, 1).value();
  ASSERT_TRUE(second->load(saved_state(*first), 3).ok());
  for (int k = 0; k < 2; ++k) ASSERT_TRUE(second->advance().ok());
  EXPECT_EQ(saved_state(*whole), saved_state(*second));
  // The state of a run without.
  auto begun = TrainingSession::create(device(), plain, data, 1).value();
  ASSERT_TRUE(begun->advance().ok());
  ASSERT_TRUE(second->load(saved_state(*begun), 1).ok());
  ASSERT_TRUE(second->advance().ok());
}

TEST_F(TrainingSessionTest, StateOfAnotherNetworkIsRefused) {
  const ImageDataset data = tiny_images();
  const TrainingTask task = make_task(tiny_options(), data).value();
  auto session = TrainingSession::create(device(), task, data, 1).value();
  TensorFile state = saved_state(*session);
  state.tensors.at("exp_avg") = tensor_from_floats({3}, {1, 2, 3});
  const Status status = session->load(state, 1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("exp_avg"), std::string::npos);
}

// Products of halves.
class HalfTrainingTest : public TrainingSessionTest {
 protected:
  void SetUp() override {
    TrainingSessionTest::SetUp();
    if (!device().caps().shader_float16) GTEST_SKIP() << "the device has no 16-bit floats";
  }
  static TrainingOptions options(const char* precision) {
    TrainingOptions options = tiny_options();
    options.precision = precision;
    options.warmup = 0;
    return options;
  }
  static LossReport report(TrainingSession& session, int64_t count) {
    EXPECT_TRUE(session.request_report(count).ok());
    return session.take_report(true).value().value();
  }
};

// A scale of 2^60 overflows, and so does what it is halved to, until it does not: all on the
// device, whose host only submits.
TEST_F(HalfTrainingTest, StepsThatOverflowAreLeftOutUntilTheScaleFits) {
  const ImageDataset data = tiny_images();
  const TrainingTask task = make_task(options("fp16"), data).value();
  auto session = TrainingSession::create(device(), task, data, 1).value();
  TensorFile start = saved_state(*session);
  EXPECT_EQ(to_floats(start.tensors.at("loss_scale"))[0], 65536);
  start.tensors.at("loss_scale") = tensor_from_floats({}, {0x1p60f});
  ASSERT_TRUE(session->load(start, 0).ok());
  constexpr int kFirst = 4, kMeasured = 20, kSteps = 64;
  for (int k = 0; k < kFirst; ++k) ASSERT_TRUE(session->advance().ok());
  const TensorFile early = saved_state(*session);
  for (const char* name : {"params", "exp_avg", "exp_avg_sq", "ema"})
    EXPECT_EQ(early.tensors.at(name), start.tensors.at(name)) << name;
  EXPECT_EQ(to_floats(early.tensors.at("loss_scale"))[0], 0x1p56f);

  for (int k = kFirst; k < kMeasured; ++k) ASSERT_TRUE(session->advance().ok());
  const uint64_t waits = device().counters().host_waits;  // the executor has measured itself
  for (int k = kMeasured; k < kSteps; ++k) ASSERT_TRUE(session->advance().ok());
  EXPECT_EQ(device().counters().host_waits, waits);
  const LossReport end = report(*session, 8);
  ASSERT_TRUE(end.scale);
  EXPECT_EQ(end.first_bad, 0);
  EXPECT_GT(end.grad_norm, 0);
  EXPECT_TRUE(std::isfinite(end.grad_norm));
  EXPECT_GT(end.scale->skipped, kFirst);
  EXPECT_LT(end.scale->skipped, kSteps - 8);
  EXPECT_EQ(end.scale->scale, std::ldexp(1.0, 60 - static_cast<int>(end.scale->skipped)));
  EXPECT_NE(saved_state(*session).tensors.at("params"), start.tensors.at("params"));
}

// With the scale, its counters and a step that was left out among the state.
TEST_F(HalfTrainingTest, ResumesBitForBit) {
  const ImageDataset data = tiny_images();
  TrainingOptions wanted = options("fp16");
  wanted.accumulate = 2;
  const TrainingTask task = make_task(wanted, data).value();
  auto whole = TrainingSession::create(device(), task, data, 1).value();
  TensorFile start = saved_state(*whole);
  start.tensors.at("loss_scale") = tensor_from_floats({}, {0x1p100f});
  ASSERT_TRUE(whole->load(start, 0).ok());
  auto first = TrainingSession::create(device(), task, data, 1).value();
  ASSERT_TRUE(first->load(start, 0).ok());
  ASSERT_TRUE(first->advance().ok());
  start = saved_state(*first);
  EXPECT_EQ(to_floats(start.tensors.at("loss_scale"))[0], 0x1p99f);
  start.tensors.at("loss_scale") = tensor_from_floats({}, {65536});
  ASSERT_TRUE(first->load(start, 1).ok());
  ASSERT_TRUE(whole->load(start, 1).ok());
  for (int k = 0; k < 4; ++k) ASSERT_TRUE(whole->advance().ok());
  for (int k = 0; k < 2; ++k) ASSERT_TRUE(first->advance().ok());
  auto second = TrainingSession::create(device(), task, data, 1).value();
  ASSERT_TRUE(second->load(saved_state(*first), 3).ok());
  for (int k = 0; k < 2; ++k) ASSERT_TRUE(second->advance().ok());
  EXPECT_EQ(saved_state(*whole), saved_state(*second));
}

// The same noise and images: what rounding does is less than what another seed does.
TEST_F(HalfTrainingTest, LossesAreWithinWhatAnotherSeedMakesOfThem) {
  const ImageDataset data = tiny_images();
  const auto losses = [&](const char* precision, uint64_t seed) {
    const TrainingTask task = make_task(options(precision), data).value();
    auto session = TrainingSession::create(device(), task, data, seed).value();
    std::vector<double> means;
    for (int k = 1; k <= 60; ++k) {
      EXPECT_TRUE(session->advance().ok());
      if (k % 10 == 0) means.push_back(report(*session, 10).loss);
    }
    return means;
  };
  const std::vector<double> exact = losses("fp32", 1), other = losses("fp32", 2);
  for (const char* precision : {"fp16", "bf16"}) {
    const std::vector<double> found = losses(precision, 1);
    EXPECT_LT(found.back(), 0.9 * found.front()) << precision;
    double off = 0, noise = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_NE(found[i], exact[i]) << precision << " rounds";
      off += std::abs(found[i] - exact[i]);
      noise += std::abs(other[i] - exact[i]);
    }
    EXPECT_LT(off, noise) << precision;
  }
}

// Weights, moments and averages are the same numbers for every precision.
TEST_F(HalfTrainingTest, ATrainingGoesOnInAnotherPrecision) {
  const ImageDataset data = tiny_images();
  const TrainingTask single = make_task(options("fp32"), data).value();
  const TrainingTask half = make_task(options("fp16"), data).value();
  auto begun = TrainingSession::create(device(), single, data, 1).value();
  ASSERT_TRUE(begun->advance().ok());
  const TensorFile state = saved_state(*begun);
  EXPECT_EQ(state.tensors.count("loss_scale"), 0u);
  auto session = TrainingSession::create(device(), half, data, 1).value();
  for (int k = 0; k < 2; ++k) ASSERT_TRUE(session->advance().ok());
  ASSERT_TRUE(session->load(state, 1).ok());
  ASSERT_TRUE(session->advance().ok());
  const LossReport after = report(*session, 1);
  ASSERT_TRUE(after.scale);
  EXPECT_EQ(after.scale->scale, 65536);
  const TensorFile further = saved_state(*session);
  EXPECT_EQ(further.tensors.at("good_steps"), tensor_from_uint32({}, {1})) << "it began anew";
  ASSERT_TRUE(begun->load(further, 2).ok());
  EXPECT_FALSE(report(*begun, 1).scale);
}

}  // namespace
}  // namespace ito::test
