// The noise-conditional classifier as a thing to train, to keep in a folder, to judge and to guide
// with. Not its network (nn/noisy_classifier.h) and not guidance itself (diffusion/guidance.h).
#pragma once

#include <memory>
#include <vector>

#include "api/model.h"
#include "api/task.h"
#include "diffusion/guidance.h"
#include "io/file.h"
#include "runtime/executor.h"

namespace ito {

// Cross-entropy of the class of x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε, with t uniform over the timesteps of
// the options' schedule and ε drawn on the device (Dhariwal & Nichol 2021, section 4). Errors as
// make_task's.
Result<TrainingTask> make_noisy_classifier_task(const TrainingOptions& options,
                                                const ImageDataset& data);

// load_model, and an error where it is another network than nn/networks.h's "noisy_classifier".
Result<Model> load_noisy_classifier(const Path& folder);

// log p(labels | x_t) for guidance, with the weights in the input kGuidanceWeights f32
// [set().size()]; labels u32 [n]. `marginal` says how noisy x_t is: any process will do, whatever
// the classifier was trained on. CHECK: `classifier` is a noise-conditional one.
inline constexpr const char* kGuidanceWeights = "guidance_params";
LogProbability class_log_probability(const Network& classifier, MarginalFunction marginal,
                                     Tensor labels);

// How well a classifier does at one noise level.
struct LevelAccuracy {
  int timestep = 0;
  double sigma = 0;  // √(1-ᾱ)/√ᾱ
  double accuracy = 0;
};

// Accuracy on the first 1,024 images (or as many as there are) at nine timesteps evenly spaced over
// the schedule. The noise is the same every time.
class NoisyValidator {
 public:
  // `task` and `data` must outlive it. weights: f32 [task.network.set().size()], read at each
  // measure().
  static Result<std::unique_ptr<NoisyValidator>> create(vk::Device& device,
                                                        const TrainingTask& task,
                                                        const ImageDataset& data,
                                                        DeviceTensor weights);
  // Waits for all work on the device.
  Result<std::vector<LevelAccuracy>> measure();
  int64_t images() const { return images_; }

 private:
  NoisyValidator(const TrainingTask& task, const ImageDataset& data) : task_(task), data_(data) {}

  const TrainingTask& task_;
  const ImageDataset& data_;
  std::unique_ptr<Executor> executor_;
  std::vector<LevelAccuracy> levels_;
  int64_t batch_ = 0;
  int64_t images_ = 0;
};

}  // namespace ito
