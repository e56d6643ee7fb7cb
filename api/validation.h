// Evaluations of a training on held-out images: the loss of a diffusion model on fixed draws, and a
// classifier's accuracy. Not for judging samples (api/scoring.h).
#pragma once

#include <memory>
#include <vector>

#include "api/task.h"
#include "diffusion/torch_rng.h"
#include "runtime/executor.h"

namespace ito {

// Writes images [first, first + batch) of `data`, and their labels where the task uses them, to a
// program of the task; beyond the end the last image is repeated. Waits.
Status write_test_batch(Executor& executor, const TrainingTask& task, const ImageDataset& data,
                        int64_t first, int64_t batch);

// Diffusion: the mean squared error of `weights` on the first images of `data` (at most 1,024, in
// whole batches of 128, or one batch of all where there are fewer). Draws are the same every time
// and PyTorch's: per batch t = randint(0, T, (n,)), then noise = randn(n, c, h, w), from one CPU
// generator seeded 7; so the number can be compared with a PyTorch run. For a score model t is
// instead uniform_(1e-5, 1), or on a ladder randint(0, L)/(L-1), and the error of the score is
// weighted by the variance of the noise: the mean squared error of the noise it implies. With EDM's
// loss it is that loss at σ = e^{p_mean + p_std z}, z = randn(n) in place of t.
// Classifier: the share of all images that `weights` classify correctly.
class Validator {
 public:
  // `task` and `data` must outlive it. weights: f32 [task.network.set().size()], read at each
  // measure().
  static Result<std::unique_ptr<Validator>> create(vk::Device& device, const TrainingTask& task,
                                                   const ImageDataset& data, DeviceTensor weights);
  // Waits for all work on the device.
  Result<double> measure();

  int64_t images() const { return images_; }

 private:
  Validator(const TrainingTask& task, const ImageDataset& data) : task_(task), data_(data) {}
  Status write_timesteps(TorchGenerator& generator);
  Result<double> measure_loss();
  Result<double> measure_accuracy();

  const TrainingTask& task_;
  const ImageDataset& data_;
  std::unique_ptr<Executor> executor_;
  int64_t batch_ = 0;
  int64_t images_ = 0;
};

}  // namespace ito
