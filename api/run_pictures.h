// The pictures of a training run: its loss curve and grids of samples. Not for other plots.
#pragma once

#include <memory>
#include <vector>

#include "api/sampling.h"
#include "api/task.h"
#include "io/file.h"

namespace ito {

// Draws the rows of a metrics.jsonl: loss, and validation or accuracy where there is one.
Status write_loss_curve(const Path& metrics, const Path& png);

// The same few seeds of every class, drawn from weights that are still being trained.
class SampleGrid {
 public:
  // weights: the task's network's, cut for the device. `task` must outlive it.
  static Result<std::unique_ptr<SampleGrid>> create(vk::Device& device, const TrainingTask& task,
                                                    const DeviceWeights& weights);
  // Samples (waits) and writes the grid; the step goes into the picture's settings.
  Status write(const Path& png, int64_t step);

 private:
  SampleGrid() = default;
  int columns_ = 0;
  SampleOptions options_;
  std::vector<SampleRequest> requests_;
  std::unique_ptr<SamplingSession> session_;
};

}  // namespace ito
