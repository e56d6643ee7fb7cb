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
#include "api/training_programs.h"
#include "io/dataset.h"
#include "runtime/executor.h"

namespace ito {

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
  DeviceWeights average(size_t i = 0) const { return programs_->average(i); }

  // The whole state: TrainingPrograms::save and load.
  TensorFile save() const { return programs_->save(); }
  Status load(const TensorFile& file, int64_t step);

  // Of the batches taken since the last load(): how often, and for how long, this thread waited.
  const BatchLoader* loader() const { return loader_.get(); }

  const Plan& plan() const { return programs_->batch().plan(); }

 private:
  struct Pending {
    int64_t step, count;
    vk::ReadTicket history, norm, rate;
    std::optional<vk::ReadTicket> scale, skipped;
  };
  TrainingSession(const TrainingTask& task, const ImageDataset& data, uint64_t seed)
      : task_(task), data_(data), seed_(seed) {}
  Status upload_batch();

  const TrainingTask& task_;
  const ImageDataset& data_;
  const uint64_t seed_;
  std::unique_ptr<TrainingPrograms> programs_;
  std::deque<Pending> pending_;
  std::unique_ptr<BatchLoader> loader_;  // of the batches from here on; made when first needed
  int64_t step_ = 0;
};

}  // namespace ito
