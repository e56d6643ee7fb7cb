// Validators: how held-out images judge a training, one class each way: a loss on fixed draws, and
// a classifier's accuracy. Which of them an objective has, it says itself (api/objectives/). Not
// for judging samples (api/scoring.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "api/objectives/support.h"
#include "api/task.h"
#include "runtime/executor.h"

namespace ito {

// Writes the images at places [first, first + batch) of `images` (drawn_images' of `data`), and
// their labels where the task uses them, to a program of the task; beyond the end the last one is
// repeated. Waits.
Status write_test_batch(Executor& executor, const TrainingTask& task, const ImageDataset& data,
                        std::span<const int64_t> images, int64_t first, int64_t batch);
// Whether the images and labels are such as the task's.
Status check_test_images(const TrainingTask& task, const ImageDataset& data);

// The task's own validator. Error: it has none.
Result<std::unique_ptr<Validator>> make_validator(vk::Device& device, const TrainingTask& task,
                                                  const ImageDataset& data,
                                                  const DeviceWeights& weights);

// api/objectives/support.h's.
Result<std::unique_ptr<Validator>> held_out_loss_validator(vk::Device& device,
                                                           const TrainingTask& task,
                                                           const ImageDataset& data,
                                                           const DeviceWeights& weights,
                                                           const HeldOutLoss& loss);
// The share of all images that a classifier gets right, called "accuracy".
Result<std::unique_ptr<Validator>> accuracy_validator(vk::Device& device, const TrainingTask& task,
                                                      const ImageDataset& data,
                                                      const DeviceWeights& weights);

}  // namespace ito
