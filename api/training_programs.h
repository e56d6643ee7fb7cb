// TrainingPrograms: the programs of a training on a device and the state that they work on: what is
// run for a batch, what for an update, how both begin, are saved and are restored. Sessions
// (api/training.h) and jobs (api/training_job.h) train by it. Not for where batches come from.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/device_weights.h"
#include "api/task.h"
#include "io/host_tensor.h"
#include "runtime/executor.h"

namespace ito {

// What is known of the updates up to `step`.
struct LossReport {
  int64_t step = 0;
  double loss = 0;       // mean of the updates since the last report (at most loss_history)
  double grad_norm = 0;  // of the last update, before clipping
  double learning_rate = 0;
  int64_t first_bad = 0;  // the first update of those whose loss is not finite; 0: none
};
// Of `count` updates, by the ring of losses as the last of them left it.
LossReport loss_report(std::span<const float> history, int64_t step, int64_t count, float grad_norm,
                       float learning_rate);

class TrainingPrograms {
 public:
  // Compiles the programs and allocates what they work on. Errors: of the device; a kernel that
  // does not compile.
  static Result<std::unique_ptr<TrainingPrograms>> create(vk::Device& device,
                                                          const TrainingTask& task, uint64_t seed);

  // One update, or with accumulation one batch.
  Executor& batch() { return *batch_; }
  const Executor& batch() const { return *batch_; }
  // With accumulation: the update, behind every so many batches; else null.
  Executor* update() { return update_.get(); }
  // The one that gives norm and rate.
  Executor& last() { return update_ ? *update_ : *batch_; }

  // Puts the task's initial weights, or fresh ones of the seed, on the device; nothing was trained
  // yet. Waits.
  Status start(const TrainingTask& task);

  // The averaged weights (the weights themselves where there is no average): those of average `i`
  // of the optimiser's.
  DeviceWeights average(size_t i = 0) const;

  // The report on `count` updates of `step`. Waits for all work on the device.
  Result<LossReport> report(int64_t step, int64_t count);

  // All states by name, in our layout, whole: the same for every device. What save() gives is read
  // from the device, a piece at a time, when it is written, which waits and must be done before
  // the next step and while this lives. load: errors kCorrupt naming the tensor that is missing or
  // of another shape.
  TensorFile save() const;
  Status load(const TensorFile& file);

  int64_t loss_history() const { return options_.loss_history; }

 private:
  struct State {
    StateTensor description;
    DeviceTensor tensor;
  };

  TrainingPrograms(vk::Device& device, TrainStepOptions options, uint64_t seed)
      : device_(device), options_(std::move(options)), seed_(seed) {}
  Result<std::unique_ptr<Executor>> make_executor(const Program& program);
  // Of a state, or of all segments of it.
  Shape whole_shape(std::string_view name) const;
  Status write_state(std::string_view name, const ByteSink& sink) const;

  vk::Device& device_;
  const TrainStepOptions options_;
  const uint64_t seed_;
  Network network_;  // the task's, cut for the device
  std::vector<State> state_;
  std::unique_ptr<Executor> batch_, update_;
};

}  // namespace ito
