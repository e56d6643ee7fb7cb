#include "api/noisy_classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/model.h"
#include "api/validation.h"
#include "base/error.h"
#include "diffusion/loss.h"
#include "diffusion/marginal.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "io/diffusers.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr const char* kClassName = "ItoNoisyClassifier";
constexpr const char* kWeightsFile = "model.safetensors";
constexpr int64_t kValidationImages = 1024;
constexpr int64_t kValidationBatch = 128;
constexpr int kValidationLevels = 9;
constexpr uint32_t kValidationSeed = 7;

Tensor labels_input(Graph& graph, int64_t n) {
  return input(graph, batch_name::kLabels, {n}, DType::kU32);
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
  const Tensor flat = input(graph, state_name::kParameters, {task.set.size()});
  const Tensor timestep = input(graph, "timestep", {}, DType::kU32);
  const Tensor image =
      iota(graph, {n}, 0) + broadcast_to(input(graph, "first", {}, DType::kU32), {n});
  const Tensor key = constant(graph, {2}, {kValidationSeed, 0}, DType::kU32);
  const Tensor noise = random_normal(shape, key, image, timestep, kStreamTrainNoise);
  const Tensor x0 = input(graph, batch_name::kImages, shape);
  const Tensor logits = noisy_logits(Scope(task.set, flat), *task.noisy_classifier, schedule, x0,
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
  config.image = task.classifier_config;
  ITO_ASSIGN(task.set, noisy_classifier_parameters(config));
  task.noisy_classifier = config;
  task.scheduler = scheduler_config(options);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(task.scheduler));
  task.loss = noisy_loss(task.batch_shape, config, schedule);
  return task;
}

Result<NoisyClassifierModel> load_noisy_classifier(const Path& folder) {
  if (!folder_exists(folder)) return not_found("there is no classifier folder {}", folder.string());
  const Path config_path = folder / "config.json";
  ITO_ASSIGN(const Json json, read_json(config_path));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, config_path.string()));
  std::string class_name;
  ITO_TRY(object.require("_class_name"));
  ITO_TRY(object.read("_class_name", &class_name));
  if (class_name == "ItoClassifier")
    return invalid_argument(
        "{} is a classifier of noise-free images; guidance needs one of `ito train --classifier "
        "--noisy`",
        folder.string());
  if (class_name != kClassName) return object.wrong("_class_name", kClassName);
  NoisyClassifierModel model;
  for (const char* key : {"noise_features", "embedding_features", "noise_schedule"})
    ITO_TRY(object.require(key));
  ITO_TRY(read_classifier_config(object, &model.config.image));
  ITO_TRY(object.read("noise_features", &model.config.noise_features));
  ITO_TRY(object.read("embedding_features", &model.config.embedding_features));
  const std::string schedule_name = config_path.string() + ": noise_schedule";
  ITO_ASSIGN(model.scheduler,
             parse_scheduler_config(*object.find("noise_schedule"), schedule_name));
  auto set = noisy_classifier_parameters(model.config);
  if (!set.ok())
    return Error{ErrorKind::kCorrupt, config_path.string() + ": " + set.error().message};
  model.set = std::move(set).value();
  const Path weights = folder / kWeightsFile;
  ITO_ASSIGN(const TensorFile file, read_safetensors(weights));
  ITO_ASSIGN(model.weights, weights_from_file(model.set, file, weights.string()));
  return model;
}

Status save_noisy_classifier(const Path& folder, const NoisyClassifierConfig& config,
                             const SchedulerConfig& scheduler, const ParameterSet& set,
                             std::span<const float> weights) {
  ITO_TRY(make_folders(folder));
  ITO_TRY(write_safetensors(folder / kWeightsFile, weights_to_file(set, weights)));
  const Json json = {{"_class_name", kClassName},
                     {"in_channels", config.image.in_channels},
                     {"classes", config.image.classes},
                     {"channels", config.image.channels},
                     {"norm_groups", config.image.norm_groups},
                     {"size", config.image.image_size},
                     {"noise_features", config.noise_features},
                     {"embedding_features", config.embedding_features},
                     {"noise_schedule", scheduler_config_json(scheduler)}};
  return write_file_atomic(folder / "config.json", dump_json(json));
}

LogProbability class_log_probability(const NoisyClassifierConfig& config, const ParameterSet& set,
                                     MarginalFunction marginal, Tensor labels) {
  return [&config, &set, marginal = std::move(marginal), labels](Tensor x, Tensor t) {
    const Tensor flat = input(x.graph(), kGuidanceWeights, {set.size()});
    const Marginal level = marginal(t);
    const Tensor logits = noisy_classifier(Scope(set, flat), config, x, level.mean, level.std);
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
