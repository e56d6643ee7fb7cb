#include "api/validation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "diffusion/torch_rng.h"
#include "graph/compile.h"
#include "io/layout.h"

namespace ito {
namespace {

constexpr int64_t kLossImages = 1024;
constexpr int64_t kBatch = 128;
constexpr uint64_t kDrawSeed = 7;

}  // namespace

Status write_test_batch(Executor& executor, const TrainingTask& task, const ImageDataset& data,
                        int64_t first, int64_t batch) {
  std::vector<int64_t> indices;
  for (int64_t i = first; i < first + batch; ++i) indices.push_back(std::min(i, data.count - 1));
  std::vector<float> images(static_cast<size_t>(batch * task.size() * task.size() * data.c));
  normalised_images(data, indices, task.size(), task.size(), images.data());
  ITO_TRY(executor.write(batch_name::kImages, images));
  if (task.classes == 0) return {};
  std::vector<uint32_t> labels;
  for (int64_t i : indices)
    labels.push_back(static_cast<uint32_t>((*data.labels)[static_cast<size_t>(i)]));
  return executor.write(batch_name::kLabels, labels);
}

Result<std::unique_ptr<Validator>> Validator::create(vk::Device& device, const TrainingTask& task,
                                                     const ImageDataset& data,
                                                     DeviceTensor weights) {
  if (data.count < 1) return invalid_argument("the data set has no test images");
  if (data.c != task.batch_shape[3] || data.h > task.size() || data.w > task.size())
    return invalid_argument("the test images are {}x{}x{}, expected {} channels and at most {}x{}",
                            data.h, data.w, data.c, task.batch_shape[3], task.size(), task.size());
  if (task.classes > 0 && (!data.labels || data.num_classes() > task.classes))
    return invalid_argument("the test images have {} classes, expected {}", data.num_classes(),
                            task.classes);
  std::unique_ptr<Validator> validator(new Validator(task, data));
  validator->batch_ = std::min(kBatch, data.count);
  Shape shape = task.batch_shape;
  shape[0] = validator->batch_;
  validator->images_ =
      task.classifier ? data.count
                      : std::min(kLossImages, data.count / validator->batch_ * validator->batch_);
  const Program program = task.classifier ? accuracy_program(task.network, shape)
                                          : validation_program(task, validator->batch_);
  ITO_ASSIGN(Plan plan, compile(program, device.caps()));
  ITO_ASSIGN(validator->executor_, Executor::create(device, std::move(plan)));
  ITO_TRY(validator->executor_->bind(state_name::kParameters, std::move(weights)));
  ITO_TRY(validator->executor_->prepare());
  return validator;
}

Status Validator::write_timesteps(TorchGenerator& generator) {
  const size_t n = static_cast<size_t>(batch_);
  if (task_.edm) {
    std::vector<float> levels(n);
    generator.randn(levels);
    for (float& level : levels)
      level = static_cast<float>(std::exp(task_.edm->p_mean + task_.edm->p_std * double{level}));
    return executor_->write("timestep", levels);
  }
  if (task_.sde && task_.ladder == 0) {
    std::vector<float> t(n);
    generator.uniform(t, kFirstTrainingTime, 1);
    return executor_->write("timestep", t);
  }
  std::vector<int64_t> t(n);
  generator.randint(t, task_.scheduler.num_train_timesteps);
  if (!task_.sde) return executor_->write("timestep", std::vector<uint32_t>(t.begin(), t.end()));
  std::vector<float> times;
  for (int64_t level : t)
    times.push_back(static_cast<float>(level) / static_cast<float>(task_.ladder - 1));
  return executor_->write("timestep", times);
}

Result<double> Validator::measure_loss() {
  TorchGenerator generator(kDrawSeed);
  const int size = task_.size();
  const Shape nchw{batch_, data_.c, size, size};
  std::vector<float> noise(static_cast<size_t>(nchw.numel()));
  double total = 0;
  for (int64_t first = 0; first < images_; first += batch_) {
    ITO_TRY(write_test_batch(*executor_, task_, data_, first, batch_));
    ITO_TRY(write_timesteps(generator));
    generator.randn(noise);
    ITO_TRY(executor_->write("noise", nchw_to_nhwc(noise, nchw)));
    ITO_TRY(executor_->run());
    ITO_ASSIGN(const std::vector<float> loss, executor_->read<float>("loss"));
    total += loss[0] * static_cast<double>(batch_);
  }
  return total / static_cast<double>(images_);
}

Result<double> Validator::measure_accuracy() {
  double correct = 0;
  for (int64_t first = 0; first < images_; first += batch_) {
    ITO_TRY(write_test_batch(*executor_, task_, data_, first, batch_));
    ITO_TRY(executor_->run());
    ITO_ASSIGN(const std::vector<float> each, executor_->read<float>("correct"));
    for (int64_t i = 0; i < std::min(batch_, images_ - first); ++i)
      correct += each[static_cast<size_t>(i)];
  }
  return correct / static_cast<double>(images_);
}

Result<double> Validator::measure() {
  return task_.classifier ? measure_accuracy() : measure_loss();
}

}  // namespace ito
