#include "api/noisy_classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/model.h"
#include "api/validation.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/loss.h"
#include "diffusion/marginal.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "nn/noisy_classifier.h"

namespace ito {
namespace {

constexpr int64_t kValidationImages = 1024;
constexpr int64_t kValidationBatch = 128;
constexpr int kValidationLevels = 9;
constexpr uint32_t kValidationSeed = 7;

Tensor labels_input(Graph& graph, int64_t n) {
  return input(graph, batch_name::kLabels, {n}, DType::kU32);
}

const NoisyClassifierConfig& config_of(const Network& classifier) {
  const auto* config = classifier.config_as<NoisyClassifierConfig>();
  CHECK(config != nullptr, "guidance and its training need a noise-conditional classifier");
  return *config;
}

// Logits for x_t of the given timestep (u32 [n]) and noise.
Tensor noisy_logits(const Scope& scope, const NoisyClassifierConfig& config,
                    const NoiseSchedule& schedule, Tensor x0, Tensor timestep, Tensor noise) {
  const Marginal level = schedule_marginal(schedule)(timestep);
  const Tensor x = add_noise(x0, noise, per_image(level.mean, 4), per_image(level.std, 4));
  return noisy_classifier(scope, config, x, level.mean, level.std);
}

LossFunction noisy_loss(const Shape& shape, const NoisyClassifierConfig& config,
                        const NoiseSchedule& schedule) {
  return [=](Graph& graph, const Scope& parameters, Tensor counter) {
    const Tensor key = input(graph, batch_name::kKey, {2}, DType::kU32);
    const Tensor image = iota(graph, {shape[0]}, 0);
    const TrainingDraw draw = draw_training(shape, key, image, counter, schedule);
    const Tensor x0 = input(graph, batch_name::kImages, shape);
    const Tensor logits = noisy_logits(parameters, config, schedule, x0, draw.timestep, draw.noise);
    return softmax_cross_entropy(logits, labels_input(graph, shape[0]));
  };
}

// Inputs: images, labels, "timestep" u32 [], "first" u32 []: the place of the batch's first image
// in the data set. Output "correct" f32 [n].
Program noisy_accuracy_program(const TrainingTask& task, const Shape& shape) {
  Program program;
  program.name = "noisy_accuracy";
  Graph& graph = *program.graph;
  const int64_t n = shape[0];
  const NoiseSchedule schedule = std::move(make_schedule(task.scheduler)).value();
  const ParameterSet& set = task.network.set();
  const Tensor flat = input(graph, state_name::kParameters, {set.size()});
  const Tensor timestep = input(graph, "timestep", {}, DType::kU32);
  const Tensor image =
      iota(graph, {n}, 0) + broadcast_to(input(graph, "first", {}, DType::kU32), {n});
  const Tensor key = constant(graph, {2}, {kValidationSeed, 0}, DType::kU32);
  const Tensor noise = random_normal(shape, key, image, timestep, kStreamTrainNoise);
  const Tensor x0 = input(graph, batch_name::kImages, shape);
  const Tensor logits = noisy_logits(Scope(set, flat), config_of(task.network), schedule, x0,
                                     broadcast_to(timestep, {n}), noise);
  program.output("correct", is_correct(logits, labels_input(graph, n)));
  return program;
}

}  // namespace

Result<TrainingTask> make_noisy_classifier_task(const TrainingOptions& options,
                                                const ImageDataset& data) {
  // The same images, labels and blocks as the noise-free classifier.
  TrainingOptions noise_free = options;
  noise_free.noisy = false;
  ITO_ASSIGN(TrainingTask task, make_task(noise_free, data));
  NoisyClassifierConfig config;
  config.image = *task.network.config_as<ClassifierConfig>();
  ITO_ASSIGN(task.network, noisy_classifier_network(config));
  task.noisy = true;
  task.scheduler = scheduler_config(options);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(task.scheduler));
  task.loss = noisy_loss(task.batch_shape, config, schedule);
  return task;
}

Result<Model> load_noisy_classifier(const Path& folder) {
  if (!folder_exists(folder)) return not_found("there is no classifier folder {}", folder.string());
  ITO_ASSIGN(Model model, load_model(folder));
  if (model.network.row() == kNoisyClassifier) return model;
  if (model.network.row() == kClassifier)
    return invalid_argument(
        "{} is a classifier of noise-free images; guidance needs one of `ito train --classifier "
        "--noisy`",
        folder.string());
  return unsupported("{}: expected the folder of a classifier, found one of {}", folder.string(),
                     model.network.row());
}

LogProbability class_log_probability(const Network& classifier, MarginalFunction marginal,
                                     Tensor labels) {
  return [classifier, marginal = std::move(marginal), labels](Tensor x, Tensor t) {
    const Tensor flat = input(x.graph(), kGuidanceWeights, {classifier.set().size()});
    const Marginal level = marginal(t);
    const Tensor logits = noisy_classifier(Scope(classifier.set(), flat), config_of(classifier), x,
                                           level.mean, level.std);
    return label_log_probability(logits, labels);
  };
}

Result<std::unique_ptr<NoisyValidator>> NoisyValidator::create(vk::Device& device,
                                                               const TrainingTask& task,
                                                               const ImageDataset& data,
                                                               DeviceTensor weights) {
  if (data.count < 1) return invalid_argument("the data set has no test images");
  if (data.c != task.batch_shape[3] || data.h > task.size() || data.w > task.size())
    return invalid_argument("the test images are {}x{}x{}, expected {} channels and at most {}x{}",
                            data.h, data.w, data.c, task.batch_shape[3], task.size(), task.size());
  if (!data.labels || data.num_classes() > task.classes)
    return invalid_argument("the test images have {} classes, expected {}", data.num_classes(),
                            task.classes);
  std::unique_ptr<NoisyValidator> validator(new NoisyValidator(task, data));
  validator->images_ = std::min(kValidationImages, data.count);
  validator->batch_ = std::min(kValidationBatch, validator->images_);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(task.scheduler));
  const int last = schedule.num_timesteps() - 1;
  for (int i = 0; i < kValidationLevels; ++i) {
    const int t = last * i / (kValidationLevels - 1);
    if (!validator->levels_.empty() && validator->levels_.back().timestep == t) continue;
    const double alpha_bar = schedule.alpha_bar(t);
    validator->levels_.push_back(
        {.timestep = t, .sigma = std::sqrt((1 - alpha_bar) / alpha_bar), .accuracy = 0});
  }
  Shape shape = task.batch_shape;
  shape[0] = validator->batch_;
  ITO_ASSIGN(Plan plan, compile(noisy_accuracy_program(task, shape), device.caps()));
  ITO_ASSIGN(validator->executor_, Executor::create(device, std::move(plan)));
  ITO_TRY(validator->executor_->bind(state_name::kParameters, std::move(weights)));
  ITO_TRY(validator->executor_->prepare());
  return validator;
}

Result<std::vector<LevelAccuracy>> NoisyValidator::measure() {
  std::vector<double> correct(levels_.size(), 0);
  for (int64_t first = 0; first < images_; first += batch_) {
    ITO_TRY(write_test_batch(*executor_, task_, data_, first, batch_));
    ITO_TRY(executor_->write("first", std::vector<uint32_t>{static_cast<uint32_t>(first)}));
    for (size_t k = 0; k < levels_.size(); ++k) {
      const std::vector<uint32_t> timestep{static_cast<uint32_t>(levels_[k].timestep)};
      ITO_TRY(executor_->write("timestep", timestep));
      ITO_TRY(executor_->run());
      ITO_ASSIGN(const std::vector<float> each, executor_->read<float>("correct"));
      for (int64_t i = 0; i < std::min(batch_, images_ - first); ++i)
        correct[k] += each[static_cast<size_t>(i)];
    }
  }
  for (size_t k = 0; k < levels_.size(); ++k)
    levels_[k].accuracy = correct[k] / static_cast<double>(images_);
  return levels_;
}

}  // namespace ito
