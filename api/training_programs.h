// TrainingPrograms: the programs of a training on a device and the state that they work on: what is
// run for a batch, what for an update, how both begin, are saved and are restored. Sessions
// (api/training.h) and jobs (api/training_job.h) train by it. Not for where batches come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/device_weights.h"
#include "api/planned_programs.h"
#include "api/task.h"
#include "io/host_tensor.h"
#include "runtime/executor.h"
#include "runtime/host_mirror.h"

namespace ito {

// What is known of the updates up to `step`.
struct LossReport {
  int64_t step = 0;
  double loss = 0;       // mean of the updates since the last report (at most loss_history)
  double grad_norm = 0;  // of the last update, before clipping; of one left out not finite
  double learning_rate = 0;
  int64_t first_bad = 0;  // the first update of those whose loss is not finite; 0: none
  // Where the loss is scaled; `loss` then is the mean of those that are finite.
  struct Scale {
    double scale = 0;
    int64_t skipped = 0;  // steps left out, of all
  };
  std::optional<Scale> scale;
};

// What the programs of a training leave of the updates so far.
struct LossNumbers {
  std::vector<float> history;  // the ring of losses
  float grad_norm = 0, learning_rate = 0;
  std::optional<LossReport::Scale> scale;
};
// Of `count` updates, as the last of them, `step`, left the numbers.
LossReport loss_report(const LossNumbers& numbers, int64_t step, int64_t count);

class TrainingPrograms {
 public:
  // Compiles the programs and allocates what they work on. Errors: of the device; a kernel that
  // does not compile.
  static Result<std::unique_ptr<TrainingPrograms>> create(vk::Device& device,
                                                          const TrainingTask& task, uint64_t seed);
  // The same in two parts, around PlannedPrograms::make_kernels: first they are among `programs`.
  static Result<std::unique_ptr<TrainingPrograms>> planned(vk::Device& device,
                                                           PlannedPrograms& programs,
                                                           const TrainingTask& task, uint64_t seed);
  Status make_executors(PlannedPrograms& programs);
  // Where batch() is among them.
  size_t batch_place() const { return batch_place_; }

  // One update; with accumulation one batch, or with microbatches one of those.
  Executor& batch() { return *batch_; }
  const Executor& batch() const { return *batch_; }
  // With microbatches, of which batch() is one: what follows the b-th block of the own ones (null:
  // nothing), as of merge_program.
  Executor* merge_after(int64_t block);
  // With accumulation or microbatches: the update, behind every so many batches; else null.
  Executor* update() { return update_.get(); }
  // The one that gives norm and rate.
  Executor& last() { return update_ ? *update_ : *batch_; }

  // With microbatches: the sums of gradients, whole or by segments, and of losses.
  std::vector<DeviceTensor> gradient_sums() const;
  DeviceTensor loss_sum() const;
  // What lasts from step to step.
  std::vector<DeviceTensor> state_tensors() const;

  // Puts the task's initial weights, or fresh ones of the seed, on the device; nothing was trained
  // yet. Waits.
  Status start(const TrainingTask& task);

  // The averaged weights (the weights themselves where there is no average): those of average `i`
  // of the optimiser's.
  DeviceWeights average(size_t i = 0) const;

  // The report on `count` updates of `step`, of numbers that `results` reads. Waits for all work on
  // the device, where it has a queue.
  Result<LossReport> report(int64_t step, int64_t count, const HostMirror& results) const;
  // What that is read from.
  std::vector<DeviceTensor> report_tensors() const;

  // All states by name, in our layout, whole: the same for every device. What save() gives is read
  // from the device, a piece at a time, when it is written, which waits and must be done before
  // the next step and while this lives. load: errors kCorrupt naming the tensor that is missing or
  // of another shape; what may be absent (StateTensor) then starts anew.
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
  Result<std::unique_ptr<Executor>> make_executor(PlannedPrograms& programs, size_t place);
  // What the state is before the first step, where that is one value.
  Status start_anew(const State& state) const;
  // Of a state, or of all segments of it.
  Shape whole_shape(std::string_view name) const;
  Status write_state(std::string_view name, const ByteSink& sink) const;

  vk::Device& device_;
  const TrainStepOptions options_;
  const uint64_t seed_;
  Network network_;  // the task's, cut for the device
  std::vector<State> state_;
  size_t batch_place_ = 0;
  std::optional<size_t> update_place_;
  std::vector<size_t> merge_places_;
  std::unique_ptr<Executor> batch_, update_;
  std::vector<std::unique_ptr<Executor>> merges_;  // by the number of sums merged
  // Of last(); the last two where the loss is scaled, else empty.
  DeviceTensor history_, norm_, rate_, scale_, skipped_;
};

}  // namespace ito
