// TrainingSession: a training on a device, one update after another, without a host wait: batches
// are uploaded, the recorded programs replayed, losses read back behind the device's back. Saves
// and restores its whole state. Among several ranks each computes its part of the microbatches, and
// the host, which then waits for each step, sums their gradients. Not the run folder and not the
// loop (api/training_run.h).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/batch_loader.h"
#include "api/gradient_exchange.h"
#include "api/training_programs.h"
#include "io/dataset.h"
#include "ranks/ranks.h"
#include "runtime/executor.h"

namespace ito {

// Of the steps of this session.
struct RankCosts {
  double seconds =
      0;  // in which the host took gradients from the device, summed and gave them back
  uint64_t bytes = 0;  // sent to other ranks
};

class TrainingSession {
 public:
  // Compiles the programs and puts the task's initial weights, or fresh ones of `seed`, on the
  // device. `task` and `data` must outlive the session. `ranks`: of those that train together, each
  // with a task of its own_microbatches. Errors: of the device; a kernel that does not compile.
  static Result<std::unique_ptr<TrainingSession>> create(vk::Device& device,
                                                         const TrainingTask& task,
                                                         const ImageDataset& data, uint64_t seed,
                                                         const Ranks& ranks = {});

  // Updates done.
  int64_t step() const { return step_; }
  // Uploads the next batch (or batches) and submits one update. Does not wait for it. Among several
  // ranks waits for the gradients. `wish`: whether this rank wants to stop. Gives whether any does.
  Result<bool> advance(bool wish = false);

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
  // Gives all ranks the state and the step of rank 0.
  Status share();

  // What the ranks' sums have taken so far; all zero for one rank.
  const RankCosts& costs() const { return costs_; }

  // Of the batches taken since the last load(): how often, and for how long, this thread waited.
  const BatchLoader* loader() const { return loader_.get(); }

  const Plan& plan() const { return programs_->batch().plan(); }

 private:
  struct Pending {
    int64_t step, count;
    vk::ReadTicket history, norm, rate;
    std::optional<vk::ReadTicket> scale, skipped;
  };
  TrainingSession(const TrainingTask& task, const ImageDataset& data, uint64_t seed,
                  const Ranks& ranks)
      : task_(task), data_(data), seed_(seed), ranks_(ranks) {}
  int64_t batches_per_step() const;
  Status upload_batch();
  Status compute_microbatch(int64_t k);
  Result<bool> sum_over_ranks(bool wish);

  const TrainingTask& task_;
  const ImageDataset& data_;
  const uint64_t seed_;
  const Ranks ranks_;
  RankCosts costs_;
  std::unique_ptr<TrainingPrograms> programs_;
  std::unique_ptr<GradientExchange> exchange_;  // made when first needed
  std::deque<Pending> pending_;
  std::unique_ptr<BatchLoader> loader_;  // of the batches from here on; made when first needed
  int64_t step_ = 0;
};

}  // namespace ito
