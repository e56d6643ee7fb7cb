#include "api/validation.h"

#include <algorithm>
#include <utility>

#include "api/drawn_images.h"
#include "api/model_score.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "io/layout.h"
#include "nn/classifier.h"

namespace ito {
namespace {

constexpr int64_t kLossImages = 1024;
constexpr int64_t kBatch = 128;
constexpr uint64_t kDrawSeed = 7;
constexpr const char* kTimestep = "timestep";         // [n], what the objective draws
constexpr Port<float> kValidationCorrect{"correct"};  // [n]: 1 where the class is the label
constexpr Port<float> kNoise{"noise"};                // as the images

Shape batch_of(const TrainingTask& task, int64_t batch) {
  Shape shape = task.batch_shape;
  shape[0] = batch;
  return shape;
}

Result<std::unique_ptr<Executor>> make_executor(vk::Device& device, const Program& program,
                                                const DeviceWeights& weights) {
  ITO_ASSIGN(Plan plan, compile(program, device.caps()));
  ITO_ASSIGN(std::unique_ptr<Executor> executor, Executor::create(device, std::move(plan)));
  ITO_TRY(weights.bind(*executor));
  ITO_TRY(executor->prepare());
  return executor;
}

// Output "loss" f32 [].
Program loss_program(const TrainingTask& task, const Network& network, int64_t batch,
                     const HeldOutLoss& loss) {
  Program program;
  program.name = "validate";
  Graph& graph = *program.graph;
  const Shape shape = batch_of(task, batch);
  const Tensor x0 = input(graph, batch_ports::kImages, shape);
  const Tensor time = input(graph, kTimestep, {batch}, loss.time_type);
  program.output("loss", loss.loss(input_denoiser(network), x0, time, input(graph, kNoise, shape)));
  return program;
}

// Output kValidationCorrect.
Program accuracy_program(const TrainingTask& task, const Network& network, int64_t batch) {
  Program program;
  program.name = "accuracy";
  Graph& graph = *program.graph;
  const Batch inputs = batch_inputs(graph, task.objective.ports, batch_of(task, batch));
  const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
  program.output(kValidationCorrect,
                 is_correct(network.build(flat, inputs.images, {}), inputs.labels));
  return program;
}

class LossValidator : public Validator {
 public:
  LossValidator(const TrainingTask& task, const ImageDataset& data, const HeldOutLoss& loss)
      : task_(task), data_(data), loss_(loss), batch_(std::min(kBatch, data.count)) {
    images_ = drawn_images(data.count, std::min(kLossImages, data.count / batch_ * batch_));
  }
  Status prepare(vk::Device& device, const DeviceWeights& weights) {
    ITO_ASSIGN(const Network network, task_.network.for_device(device.caps()));
    ITO_ASSIGN(executor_,
               make_executor(device, loss_program(task_, network, batch_, loss_), weights));
    return {};
  }
  int64_t images() const override { return static_cast<int64_t>(images_.size()); }

  Result<Judgement> measure() override {
    TorchGenerator generator(kDrawSeed);
    const Shape nchw{batch_, data_.c, task_.height(), task_.width()};
    std::vector<float> noise(static_cast<size_t>(nchw.numel()));
    double total = 0;
    for (int64_t first = 0; first < images(); first += batch_) {
      ITO_TRY(write_test_batch(*executor_, task_, data_, images_, first, batch_));
      ITO_TRY(write_times(loss_.times(generator, static_cast<size_t>(batch_))));
      generator.randn(noise);
      ITO_TRY(executor_->write(kNoise, nchw_to_nhwc(noise, nchw)));
      ITO_TRY(executor_->run());
      ITO_ASSIGN(const std::vector<float> loss, executor_->read<float>("loss"));
      total += loss[0] * static_cast<double>(batch_);
    }
    const double value = total / static_cast<double>(images());
    return Judgement{.value = value,
                     .metric = "validation",
                     .row = {{"validation", value}},
                     .text = fmt::format("validation loss {:.4f} on {} {}", value, images(),
                                         kind_of_images(data_))};
  }

 private:
  Status write_times(const std::vector<double>& times) {
    if (loss_.time_type == DType::kU32)
      return executor_->write(kTimestep, std::vector<uint32_t>(times.begin(), times.end()));
    return executor_->write(kTimestep, std::vector<float>(times.begin(), times.end()));
  }

  const TrainingTask& task_;
  const ImageDataset& data_;
  HeldOutLoss loss_;
  std::unique_ptr<Executor> executor_;
  std::vector<int64_t> images_;
  int64_t batch_ = 0;
};

class AccuracyValidator : public Validator {
 public:
  AccuracyValidator(const TrainingTask& task, const ImageDataset& data)
      : task_(task), data_(data), batch_(std::min(kBatch, data.count)) {}
  Status prepare(vk::Device& device, const DeviceWeights& weights) {
    ITO_ASSIGN(const Network network, task_.network.for_device(device.caps()));
    ITO_ASSIGN(executor_, make_executor(device, accuracy_program(task_, network, batch_), weights));
    return {};
  }
  int64_t images() const override { return data_.count; }

  Result<Judgement> measure() override {
    double correct = 0;
    const std::vector<int64_t> all = drawn_images(data_.count, data_.count);
    for (int64_t first = 0; first < data_.count; first += batch_) {
      ITO_TRY(write_test_batch(*executor_, task_, data_, all, first, batch_));
      ITO_TRY(executor_->run());
      ITO_ASSIGN(const std::vector<float> each, executor_->read(kValidationCorrect));
      for (int64_t i = 0; i < std::min(batch_, data_.count - first); ++i)
        correct += each[static_cast<size_t>(i)];
    }
    const double value = correct / static_cast<double>(data_.count);
    return Judgement{
        .value = value,
        .metric = "accuracy",
        .row = {{"accuracy", value}},
        .text = fmt::format("accuracy {:.4f} on {} {}", value, data_.count, kind_of_images(data_))};
  }

 private:
  const TrainingTask& task_;
  const ImageDataset& data_;
  std::unique_ptr<Executor> executor_;
  int64_t batch_ = 0;
};

}  // namespace

Status write_test_batch(Executor& executor, const TrainingTask& task, const ImageDataset& data,
                        std::span<const int64_t> images, int64_t first, int64_t batch) {
  std::vector<int64_t> indices;
  for (int64_t i = first; i < first + batch; ++i)
    indices.push_back(images[std::min(static_cast<size_t>(i), images.size() - 1)]);
  std::vector<float> pixels(static_cast<size_t>(batch * task.height() * task.width() * data.c));
  ITO_TRY(normalised_images(data, indices, task.height(), task.width(), pixels.data()));
  ITO_TRY(executor.write(batch_ports::kImages, pixels));
  if (!task.objective.ports.labels) return {};
  std::vector<uint32_t> labels;
  for (int64_t i : indices)
    labels.push_back(static_cast<uint32_t>((*data.labels)[static_cast<size_t>(i)]));
  return executor.write(batch_ports::kLabels, labels);
}

Status check_test_images(const TrainingTask& task, const ImageDataset& data) {
  const std::string kind = kind_of_images(data);
  if (data.count < 1) return invalid_argument("the data set has no {}", kind);
  const int64_t channels = task.batch_shape[3];
  const std::string from = data.facts.from.string();
  if (data.c != channels)
    return invalid_argument(
        "the {} in {} have {} channel{}, those trained on {}{}; or move them away, and some of the "
        "training images are held out instead",
        kind, from, data.c, data.c == 1 ? "" : "s", channels, channels_remedy(data.c, channels));
  if (data.h > task.height() || data.w > task.width())
    return invalid_argument(
        "the {} in {} are {} wide and {} high, the network's at most {} and {}; --resize makes all "
        "of one size",
        kind, from, data.w, data.h, task.width(), task.height());
  if (task.classes > 0 && !data.labels)
    return invalid_argument(
        "the {} in {} have no classes, of which the network is told; put them into folders named "
        "as those trained on are, name them in metadata.csv, or move them away, and some of the "
        "training images are held out instead; --no-classes trains without any",
        kind, from);
  if (task.classes > 0 && data.num_classes() > task.classes)
    return invalid_argument("the {} have {} classes, expected {}", kind, data.num_classes(),
                            task.classes);
  return {};
}

Result<std::unique_ptr<Validator>> make_validator(vk::Device& device, const TrainingTask& task,
                                                  const ImageDataset& data,
                                                  const DeviceWeights& weights) {
  const Validation& validation = task.objective.validation;
  if (!validation.make)
    return invalid_argument("--objective {} has no validation: {}", task.objective.name,
                            validation.why_not);
  ITO_TRY(check_test_images(task, data));
  return validation.make(device, task, data, weights);
}

Result<std::unique_ptr<Validator>> held_out_loss_validator(vk::Device& device,
                                                           const TrainingTask& task,
                                                           const ImageDataset& data,
                                                           const DeviceWeights& weights,
                                                           const HeldOutLoss& loss) {
  auto validator = std::make_unique<LossValidator>(task, data, loss);
  ITO_TRY(validator->prepare(device, weights));
  return std::unique_ptr<Validator>(std::move(validator));
}

Result<std::unique_ptr<Validator>> accuracy_validator(vk::Device& device, const TrainingTask& task,
                                                      const ImageDataset& data,
                                                      const DeviceWeights& weights) {
  auto validator = std::make_unique<AccuracyValidator>(task, data);
  ITO_TRY(validator->prepare(device, weights));
  return std::unique_ptr<Validator>(std::move(validator));
}

}  // namespace ito
