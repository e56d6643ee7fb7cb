// TrainingTask: what TrainingSession is to train: parameters and a loss on batches of images. The
// tasks here are a diffusion model and an image classifier; the noise-conditional classifier's is
// in api/noisy_classifier.h. Not the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "api/training_options.h"
#include "base/config.h"
#include "diffusion/sde.h"
#include "io/dataset.h"
#include "nn/ddgan.h"
#include "nn/network.h"
#include "nn/train_step.h"

namespace ito {

// External tensors of a task's programs besides the state.
namespace batch_name {
inline constexpr const char* kImages = "x0";        // f32 [n,h,w,c] in [-1, 1]
inline constexpr const char* kLabels = "labels";    // u32 [n]; only where the task uses labels
inline constexpr const char* kContext = "context";  // f32 [n, length, features]; likewise
inline constexpr const char* kKey = "key";          // u32 [2], the seed; only where noise is drawn
}  // namespace batch_name

// ln σ of a training with EDM's loss is normal.
struct EdmTraining {
  double p_mean = -1.2, p_std = 1.2;
};

struct TrainingTask {
  bool classifier = false;
  Shape batch_shape;  // [n, h, w, c] of one batch
  int classes = 0;    // 0: the labels are not used
  // What is trained, and what its parameters lie among (a GAN's discriminator): all of
  // network.set() is trained.
  Network network;
  SchedulerConfig scheduler;
  std::optional<DdganConfig> gan;  // of a denoising diffusion GAN; `network` is its generator
  std::optional<Sde> sde;          // of a score model
  std::optional<EdmTraining> edm;  // of a score model with EDM's loss
  int64_t ladder = 0;              // of a score model: levels of noise it is trained on; 0: all
  bool noisy = false;  // of a classifier task: the noise-conditional classifier, with a schedule
  LossFunction loss;
  TrainStepOptions step;

  int size() const { return static_cast<int>(batch_shape[1]); }
};

// The task that the options describe on this data set. Errors: options that do not fit the data
// (no labels for a classifier, images larger than --size), or an impossible network. For --sde ve
// with --sigma-max 0 the data set's pixels are looked at.
Result<TrainingTask> make_task(const TrainingOptions& options, const ImageDataset& data);

// Times t of a score model's training: uniform in [kFirstTrainingTime, 1], or on the ladder. (Song
// et al. 2021 train from 1e-5 on, whatever the process.)
inline constexpr double kFirstTrainingTime = 1e-5;

// Programs of a task that do not train: the same loss with timestep and noise given ("timestep" u32
// [n], or for a score model its times, f32 [n]; "noise" as the images), unweighted (score models:
// weighted by the variance, EDM's as in training) → output "loss" f32 [].
Program validation_program(const TrainingTask& task, int64_t batch);
// Classifier: output "correct" f32 [n].
Program accuracy_program(const Network& classifier, const Shape& batch_shape);

}  // namespace ito
