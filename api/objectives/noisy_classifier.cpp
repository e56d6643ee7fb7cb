// Cross-entropy of the class of x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε, with t uniform over the timesteps of
// the options' schedule and ε drawn on the device (Dhariwal & Nichol 2021, section 4); judged by
// the accuracy at nine timesteps evenly spaced over the schedule, the noise the same every time.
#include "nn/noisy_classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/drawn_images.h"
#include "api/objectives/classifier.h"
#include "api/validation.h"
#include "diffusion/loss.h"
#include "diffusion/marginal.h"
#include "diffusion/score.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "graph/compile.h"

namespace ito {
namespace {

constexpr Port<uint32_t> kBatchTimestep{"timestep"};  // []: the same for the whole batch
constexpr Port<uint32_t> kFirst{"first"};   // []: the batch's first place among the images drawn
constexpr Port<float> kCorrect{"correct"};  // [n]

constexpr int64_t kValidationImages = 1024;
constexpr int64_t kValidationBatch = 128;
constexpr int kValidationLevels = 9;
constexpr uint32_t kValidationSeed = 7;

// Logits for x_t of the given timestep (u32 [n]) and noise.
Tensor noisy_logits(const Scope& scope, const NoisyClassifierConfig& config,
                    const NoiseSchedule& schedule, Tensor x0, Tensor timestep, Tensor noise) {
  const Marginal level = schedule_marginal(schedule)(timestep);
  const Tensor x = add_noise(x0, noise, per_image(level.mean, 4), per_image(level.std, 4));
  return noisy_classifier(scope, config, x, level.mean, level.std);
}

// Inputs: images, labels, kBatchTimestep, kFirst. Output kCorrect.
Program accuracy_program(const TrainingTask& task, const ParameterSet& set,
                         const NoisyClassifierConfig& config, const NoiseSchedule& schedule,
                         int64_t n) {
  Program program;
  program.name = "noisy_accuracy";
  Graph& graph = *program.graph;
  Shape shape = task.batch_shape;
  shape[0] = n;
  const FlatTensors flat = flat_inputs(graph, state_name::kParameters, set);
  const Tensor timestep = input(graph, kBatchTimestep, {});
  const Tensor image = iota(graph, {n}, 0) + broadcast_to(input(graph, kFirst, {}), {n});
  const Tensor key = constant(graph, {2}, {kValidationSeed, 0}, DType::kU32);
  const Tensor noise = random_normal(shape, key, image, timestep, kStreamTrainNoise);
  const Batch batch = batch_inputs(graph, task.objective.ports, shape);
  const Tensor logits = noisy_logits(Scope(set, flat), config, schedule, batch.images,
                                     broadcast_to(timestep, {n}), noise);
  program.output(kCorrect, is_correct(logits, batch.labels));
  return program;
}

// How well a classifier does at one noise level.
struct Level {
  int timestep = 0;
  double sigma = 0;  // √(1-ᾱ)/√ᾱ
  double accuracy = 0;
};

class NoisyAccuracy : public Validator {
 public:
  NoisyAccuracy(const TrainingTask& task, const ImageDataset& data, const NoiseSchedule& schedule)
      : task_(task),
        data_(data),
        images_(drawn_images(data.count, std::min(kValidationImages, data.count))) {
    batch_ = std::min(kValidationBatch, images());
    const int last = schedule.num_timesteps() - 1;
    for (int i = 0; i < kValidationLevels; ++i) {
      const int t = last * i / (kValidationLevels - 1);
      if (!levels_.empty() && levels_.back().timestep == t) continue;
      const double alpha_bar = schedule.alpha_bar(t);
      levels_.push_back(
          {.timestep = t, .sigma = std::sqrt((1 - alpha_bar) / alpha_bar), .accuracy = 0});
    }
  }
  Status prepare(vk::Device& device, const NoisyClassifierConfig& config,
                 const NoiseSchedule& schedule, const DeviceWeights& weights) {
    ITO_ASSIGN(const Network network, task_.network.for_device(device.caps()));
    ITO_ASSIGN(Plan plan, compile(accuracy_program(task_, network.set(), config, schedule, batch_),
                                  device.caps()));
    ITO_ASSIGN(executor_, Executor::create(device, std::move(plan)));
    ITO_TRY(weights.bind(*executor_));
    return executor_->prepare();
  }
  int64_t images() const override { return static_cast<int64_t>(images_.size()); }

  // The row holds the accuracy at each noise level by its timestep, and their mean.
  Result<Judgement> measure() override {
    ITO_TRY(measure_levels());
    Json by_timestep = Json::object();
    double mean = 0;
    std::string text;
    for (const Level& level : levels_) {
      by_timestep[std::to_string(level.timestep)] = level.accuracy;
      mean += level.accuracy / static_cast<double>(levels_.size());
      text += fmt::format(" {:.3f} (sigma {:.3g})", level.accuracy, level.sigma);
    }
    return Judgement{.value = mean,
                     .metric = "accuracy",
                     .row = {{"accuracy", mean}, {"accuracy_at_timestep", by_timestep}},
                     .text = fmt::format("accuracy {:.4f} on {} {}, by noise level:{}", mean,
                                         images(), kind_of_images(data_), text)};
  }

 private:
  Status measure_levels() {
    std::vector<double> correct(levels_.size(), 0);
    for (int64_t first = 0; first < images(); first += batch_) {
      ITO_TRY(write_test_batch(*executor_, task_, data_, images_, first, batch_));
      ITO_TRY(executor_->write(kFirst, std::vector<uint32_t>{static_cast<uint32_t>(first)}));
      for (size_t k = 0; k < levels_.size(); ++k) {
        const std::vector<uint32_t> timestep{static_cast<uint32_t>(levels_[k].timestep)};
        ITO_TRY(executor_->write(kBatchTimestep, timestep));
        ITO_TRY(executor_->run());
        ITO_ASSIGN(const std::vector<float> each, executor_->read(kCorrect));
        for (int64_t i = 0; i < std::min(batch_, images() - first); ++i)
          correct[k] += each[static_cast<size_t>(i)];
      }
    }
    for (size_t k = 0; k < levels_.size(); ++k)
      levels_[k].accuracy = correct[k] / static_cast<double>(images());
    return {};
  }

  const TrainingTask& task_;
  const ImageDataset& data_;
  std::unique_ptr<Executor> executor_;
  std::vector<Level> levels_;
  std::vector<int64_t> images_;
  int64_t batch_ = 0;
};

}  // namespace

Result<Trainee> noisy_classifier_objective(const TrainingInput& input) {
  // The same images, labels and blocks as the noise-free classifier.
  NoisyClassifierConfig config;
  ITO_ASSIGN(config.image, classifier_config(input));
  ITO_ASSIGN(Network network, noisy_classifier_network(config));
  Objective objective;
  objective.scheduler = scheduler_config(input.options, input.initial);
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(objective.scheduler));
  objective.ports = {.labels = true, .randomness = true};
  objective.loss = [config, schedule](const Scope& parameters, const Batch& batch,
                                      const Randomness& random) -> LossResult {
    const TrainingDraw draw =
        draw_training(batch.images.shape(), random.key, random.image, random.step, schedule);
    const Tensor logits =
        noisy_logits(parameters, config, schedule, batch.images, draw.timestep, draw.noise);
    return softmax_cross_entropy(logits, batch.labels);
  };
  objective.validation = {
      .make = [config, schedule](
                  vk::Device& device, const TrainingTask& task, const ImageDataset& data,
                  const DeviceWeights& weights) -> Result<std::unique_ptr<Validator>> {
        auto validator = std::make_unique<NoisyAccuracy>(task, data, schedule);
        ITO_TRY(validator->prepare(device, config, schedule, weights));
        return std::unique_ptr<Validator>(std::move(validator));
      },
      .at_the_end = true};
  return Trainee{.network = std::move(network), .objective = std::move(objective)};
}

}  // namespace ito
