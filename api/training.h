// TrainingSession: a training on a device, one update after another, without a host wait: batches
// are uploaded, the recorded programs replayed, losses read back behind the device's back. Saves
// and restores its whole state. Not the run folder and not the loop (api/training_run.h).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/batch_loader.h"
#include "api/device_weights.h"
#include "api/task.h"
#include "io/dataset.h"
#include "io/host_tensor.h"
#include "runtime/executor.h"

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

class TrainingSession {
 public:
  // Compiles the programs and puts the task's initial weights, or fresh ones of `seed`, on the
  // device. `task` and `data` must outlive the session. Errors: of the device; a kernel that does
  // not compile.
  static Result<std::unique_ptr<TrainingSession>> create(vk::Device& device,
                                                         const TrainingTask& task,
                                                         const ImageDataset& data, uint64_t seed);

  // Updates done.
  int64_t step() const { return step_; }
  // Uploads the next batch (or batches) and submits one update. Does not wait for it.
  Status advance();

  // Asks for a report on the last `count` updates.
  Status request_report(int64_t count);
  // The oldest report that has arrived, or nothing. With `wait`, waits for one that was asked for.
  Result<std::optional<LossReport>> take_report(bool wait);
  bool report_pending() const { return !pending_.empty(); }

  // The averaged weights (the weights themselves where there is no average): those of average `i`
  // of the optimiser's.
  DeviceWeights average(size_t i = 0) const;

  // All states by name, in our layout, whole: the same for every device. What save() gives is read
  // from the device, a piece at a time, when it is written, which waits and must be done before
  // the next step and while this lives. load: errors kCorrupt naming the tensor that is missing or
  // of another shape; what may be absent (StateTensor) then starts anew.
  TensorFile save() const;
  Status load(const TensorFile& file, int64_t step);

  // Of the batches taken since the last load(): how often, and for how long, this thread waited.
  const BatchLoader* loader() const { return loader_.get(); }

  const Plan& plan() const { return train_->plan(); }

 private:
  struct Pending {
    int64_t step, count;
    vk::ReadTicket history, norm, rate;
    std::optional<vk::ReadTicket> scale, skipped;
  };
  struct State {
    StateTensor description;
    DeviceTensor tensor;
  };

  TrainingSession(vk::Device& device, const TrainingTask& task, const ImageDataset& data,
                  uint64_t seed)
      : device_(device), task_(task), data_(data), seed_(seed) {}
  Status make_state(uint64_t seed);
  // What the state is before the first step, where that is one value.
  static Status start_anew(const State& state);
  Result<std::unique_ptr<Executor>> make_executor(const Program& program, uint64_t seed);
  Status upload_batch();
  // Of a state, or of all segments of it.
  Shape whole_shape(std::string_view name) const;
  Status write_state(std::string_view name, const ByteSink& sink) const;
  vk::Device& device_;
  const TrainingTask& task_;
  const ImageDataset& data_;
  const uint64_t seed_;
  Network network_;  // the task's, cut for the device
  std::vector<State> state_;
  std::unique_ptr<Executor> train_;  // one update, or with accumulation one batch
  std::unique_ptr<Executor> apply_;  // with accumulation: the update
  std::deque<Pending> pending_;
  std::unique_ptr<BatchLoader> loader_;  // of the batches from here on; made when first needed
  int64_t step_ = 0;
};

}  // namespace ito
