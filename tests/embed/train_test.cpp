// A training inside an engine.
#include <gtest/gtest.h>

#include <cmath>

#include "api/training.h"
#include "io/json.h"
#include "tests/embed/embedded_host.h"

namespace ito::test {
namespace {

class PortableEmbeddedTraining : public EmbeddedHost {
 protected:
  // What the library trains on a device of its own: weights and the report on the last update.
  void train(const TrainingOptions& options, const ImageDataset& data, int updates) {
    const TrainingTask task = make_task(options, data).value();
    auto device = vk::Device::create(device_options(log_)).value();
    auto session = TrainingSession::create(*device, task, data, options.seed).value();
    for (int i = 0; i < updates; ++i) ASSERT_TRUE(session->advance().ok());
    ASSERT_TRUE(session->request_report(1).ok());
    report_ = session->take_report(true).value().value();
    weights_ = session->average().read().value();
    shape_ = task.batch_shape;
  }
  // Batches as the library has them, one after another.
  BatchLoader batches(const TrainingOptions& options, const ImageDataset& data) {
    Shape shape = shape_;
    shape[1] = data.h;
    shape[2] = data.w;
    return BatchLoader(data, {.images = shape, .labels = true, .flip = options.flip}, options.seed,
                       0);
  }
  ItoJob make_training(const ItoTrainInfo& info) {
    ItoJob job = nullptr;
    EXPECT_EQ(ito_.create_train_job(context_, &info, &job), ITO_OK) << ito_.last_error();
    return job;
  }
  // Records what was begun to its end.
  void record_batch(ItoJob job, uint32_t dispatches) {
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    budget.max_dispatches = dispatches;
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    while (!progress.recorded) {
      VkCommandBuffer commands = begin_commands();
      ASSERT_ITO(ito_.record_slice(job, commands, &budget, &progress));
      submit(commands);
    }
    wait();
  }
  std::vector<float> weights_in(const Path& folder) { return load_model(folder).value().weights; }

  LossReport report_;
  std::vector<float> weights_;
  Shape shape_;
};

ImageDataset small_images(int side) {
  ImageDataset data;
  data.count = 12;
  data.h = data.w = side;
  data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < 12; ++i) {
    data.labels->push_back(i % 3);
    for (int p = 0; p < side * side; ++p)
      data.pixels.push_back(static_cast<uint8_t>(p * 3 + i * 11));
  }
  return data;
}

TrainingOptions small_options() {
  TrainingOptions options;
  options.channels = {8};
  options.size = "8";
  options.batch = 4;
  options.seed = 5;
  return options;
}

ItoTrainInfo train_info(const std::string& options, uint32_t side) {
  ItoTrainInfo info;
  ITO_INIT(info, TRAIN_INFO);
  info.options = options.c_str();
  info.width = info.height = side;
  info.channels = 1;
  info.classes = 3;
  return info;
}

// Numbers, an update every second batch, a command buffer every few dispatches.
TEST_F(PortableEmbeddedTraining, EndsWithTheWeightsOfTheLibraryBitForBit) {
  TrainingOptions options = small_options();
  options.accumulate = 2;
  const ImageDataset data = small_images(8);
  train(options, data, 3);
  const std::string text = dump_json(to_json(options));
  const ItoJob job = make_training(train_info(text, 8));
  ASSERT_NE(job, nullptr);
  ItoTrainReport report;
  ITO_INIT(report, TRAIN_REPORT);
  EXPECT_EQ(ito_.read_train_report(job, &report), ITO_ERROR_INVALID_ARGUMENT);
  const ItoStatistics before = statistics();
  BatchLoader loader = batches(options, data);
  for (int i = 0; i < 6; ++i) {
    ASSERT_OK_AND_ASSIGN(const LoadedBatch* batch, loader.next());
    ASSERT_ITO(ito_.write_input(job, ITO_INPUT_PICTURES, 0, batch->images.data(), 4 * 256));
    ASSERT_ITO(ito_.write_input(job, ITO_INPUT_LABELS, 0, batch->labels.data(), 16));
    ASSERT_ITO(ito_.restart(job, nullptr, 0));
    record_batch(job, 9);
  }
  const ItoStatistics after = statistics();
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << "nothing at all is counted";
  ASSERT_ITO(ito_.read_train_report(job, &report));
  EXPECT_EQ(report.step, 3u);
  EXPECT_EQ(report.loss, report_.loss);
  EXPECT_EQ(report.gradient_norm, report_.grad_norm);
  EXPECT_EQ(report.learning_rate, report_.learning_rate);
  const std::string folder = (scratch_ / "trained").string();
  ASSERT_ITO(ito_.write_trained_model(job, folder.c_str()));
  EXPECT_EQ(weights_in(folder), weights_);
  ito_.destroy_job(job);
}

// Factors of 16 bits, whose loss scale is a state of the training's; on a device of Ito's own,
// which has what halves want.
TEST_F(PortableEmbeddedTraining, ScalesTheLossOfSixteenBitsAsTheLibraryDoes) {
  ItoContextInfo own;
  ITO_INIT(own, CONTEXT_INFO);
  ItoContext context = nullptr;
  ASSERT_ITO(ito_.create_context(&own, &context));
  TrainingOptions options = small_options();
  options.precision = "fp16";
  const ImageDataset data = small_images(8);
  const std::string text = dump_json(to_json(options));
  const ItoTrainInfo info = train_info(text, 8);
  ItoJob job = nullptr;
  const ItoResult made = ito_.create_train_job(context, &info, &job);
  ito_.destroy_context(context);
  if (made == ITO_ERROR_UNSUPPORTED) GTEST_SKIP() << ito_.last_error();
  ASSERT_ITO(made);
  train(options, data, 2);
  ASSERT_TRUE(report_.scale);
  BatchLoader loader = batches(options, data);
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const LoadedBatch* batch, loader.next());
    ASSERT_ITO(ito_.write_input(job, ITO_INPUT_PICTURES, 0, batch->images.data(), 4 * 256));
    ASSERT_ITO(ito_.write_input(job, ITO_INPUT_LABELS, 0, batch->labels.data(), 16));
    ASSERT_ITO(ito_.restart(job, nullptr, 0));
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    while (!progress.complete)
      ASSERT_GE(ito_.submit_slice(job, &budget, &progress), ITO_OK) << ito_.last_error();
  }
  ItoTrainReport report;
  ITO_INIT(report, TRAIN_REPORT);
  ASSERT_ITO(ito_.read_train_report(job, &report));
  EXPECT_EQ(report.loss, report_.loss);
  EXPECT_EQ(report.gradient_norm, report_.grad_norm);
  EXPECT_EQ(report.loss_scale, report_.scale->scale);
  EXPECT_EQ(report.steps_left_out, static_cast<uint64_t>(report_.scale->skipped));
  const std::string folder = (scratch_ / "trained").string();
  ASSERT_ITO(ito_.write_trained_model(job, folder.c_str()));
  EXPECT_EQ(weights_in(folder), weights_);
  ito_.destroy_job(job);
}

// Bytes of smaller pictures, padded; the model is sampled where it is, and as its folder says.
TEST_F(PortableEmbeddedTraining, TakesBytesAndItsModelIsSampledWhileItTrains) {
  const TrainingOptions options = small_options();
  const ImageDataset data = small_images(6);
  train(options, data, 2);
  const std::string text = dump_json(to_json(options));
  ItoTrainInfo info = train_info(text, 6);
  info.picture_format = ITO_PIXEL_FORMAT_BYTES;
  const char* names[] = {"zero", "one", "two"};
  info.class_names = names;
  const ItoJob job = make_training(info);
  ASSERT_NE(job, nullptr);
  BatchLoader loader = batches(options, data);
  const auto batch = [&] {
    ASSERT_OK_AND_ASSIGN(const LoadedBatch* batch, loader.next());
    std::vector<uint8_t> bytes;
    for (const float value : batch->images)
      bytes.push_back(static_cast<uint8_t>(std::lround((value + 1) * 127.5f)));
    ASSERT_ITO(ito_.write_input(job, ITO_INPUT_PICTURES, 0, bytes.data(), bytes.size()));
    ASSERT_ITO(ito_.write_input(job, ITO_INPUT_LABELS, 0, batch->labels.data(), 16));
    ASSERT_ITO(ito_.restart(job, nullptr, 0));
    record_batch(job, 0);
  };
  ItoModel trained = nullptr;
  ASSERT_ITO(ito_.get_trained_model(job, &trained));
  EXPECT_STREQ(ito_.get_class_name(trained, 2), "two");
  const ItoSampleInfo sample = sample_info("ddim", 2, 1);
  ItoJob sampler = nullptr;
  ASSERT_ITO(ito_.create_sample_job(trained, &sample, &sampler));
  const auto sampled = [&](ItoJob of) {
    EXPECT_EQ(ito_.restart(of, kRequests, 1), ITO_OK) << ito_.last_error();
    record_all(of, 0, 0);
    return images_of(of);
  };
  batch();
  const std::vector<float> after_one = sampled(sampler);
  batch();
  const std::vector<float> after_two = sampled(sampler);
  EXPECT_NE(after_one, after_two);
  const std::string folder = (scratch_ / "trained").string();
  ASSERT_ITO(ito_.write_trained_model(job, folder.c_str()));
  EXPECT_EQ(weights_in(folder), weights_);
  ItoModelInfo named;
  ITO_INIT(named, MODEL_INFO);
  named.folder = folder.c_str();
  ito_.destroy_model(model_);
  ASSERT_ITO(ito_.load_model(context_, &named, &model_));
  EXPECT_STREQ(ito_.get_class_name(model_, 1), "one");
  const ItoJob again = make_job(sample);
  EXPECT_EQ(sampled(again), after_two);
  ito_.destroy_job(job);
  EXPECT_EQ(sampled(sampler), after_two) << "the weights live as long as who uses them";
  ito_.destroy_job(again);
  ito_.destroy_job(sampler);
  ito_.destroy_model(trained);
}

TEST_F(PortableEmbeddedTraining, HalfABatchIsNotLeftAndWhatIsWrongIsSaid) {
  const auto expect_error = [&](ItoResult result, ItoResult wanted, const char* words) {
    EXPECT_EQ(result, wanted) << ito_.last_error();
    EXPECT_TRUE(says(ito_.last_error(), words)) << ito_.last_error();
  };
  const std::string text = dump_json(to_json(small_options()));
  const ItoJob job = make_training(train_info(text, 8));
  ASSERT_NE(job, nullptr);
  const std::vector<float> pictures(256);
  ASSERT_ITO(ito_.write_input(job, ITO_INPUT_PICTURES, 0, pictures.data(), 1024));
  ASSERT_ITO(ito_.restart(job, nullptr, 0));
  ASSERT_ITO(ito_.cancel(job));
  ASSERT_ITO(ito_.restart(job, nullptr, 0));
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.max_dispatches = 4;
  ASSERT_ITO(ito_.submit_slice(job, &budget, nullptr));
  expect_error(ito_.cancel(job), ITO_ERROR_UNSUPPORTED, "recorded in part");
  expect_error(ito_.restart(job, nullptr, 0), ITO_ERROR_INVALID_ARGUMENT, "recorded in part");
  record_batch(job, 0);
  ItoTrainReport report;
  ITO_INIT(report, TRAIN_REPORT);
  ASSERT_ITO(ito_.read_train_report(job, &report));
  EXPECT_EQ(report.step, 1u);
  float none = 0;
  expect_error(ito_.read_images(job, &none, 4), ITO_ERROR_UNSUPPORTED, "gives no images");
  ito_.destroy_job(job);

  ItoJob made = nullptr;
  const auto refused = [&](const char* options, const char* words) {
    const std::string kept = options;
    const ItoTrainInfo info = train_info(kept, 8);
    expect_error(ito_.create_train_job(context_, &info, &made), ITO_ERROR_INVALID_ARGUMENT, words);
  };
  refused("{\"learning-rate\": 1}", "no option \"learning-rate\"");
  refused("{\"lr\": \"high\"}", "lr");
  refused("[", "ItoTrainInfo: options");
  refused("{\"sde\": \"ve\"}", "sigma-max is 0");
  refused("{\"lr-decay\": \"cosine\"}", "wants decay-steps");
  ItoTrainInfo info = train_info(text, 0);
  expect_error(ito_.create_train_job(context_, &info, &made), ITO_ERROR_INVALID_ARGUMENT, "0x0x1");
  EXPECT_EQ(made, nullptr);
}

}  // namespace
}  // namespace ito::test
