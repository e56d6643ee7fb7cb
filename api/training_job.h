// TrainingJob: a training as a Job (api/job.h), one batch after another, each given by the host.
// After the same batches its weights are those of TrainingSession, bit by bit. Not for data sets,
// validation and checkpoints (api/training_run.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/initial_model.h"
#include "api/job.h"
#include "api/trained_model.h"
#include "api/training_options.h"
#include "api/training_programs.h"

namespace ito {

// What is known of the images before the first of them is there.
struct TrainingImages {
  int h = 0, w = 0, c = 0;
  int classes = 0;                      // 0: they have none
  std::vector<std::string> names = {};  // of the classes; empty: they have numbers
};

struct TrainingJobOptions {
  TrainingOptions training;
  std::set<std::string> given;  // keys of these that were asked for by name
  TrainingImages images;
  std::optional<PixelFormat> pictures;               // of kPictures; nothing: numbers in [-1, 1]
  std::shared_ptr<const InitialModel> initial = {};  // what it starts from; null: fresh weights
};

class TrainingJob : public Job {
 public:
  // Compiles and, where the device has a queue, runs a few steps to measure them, then starts over;
  // waits. Inputs: kPictures [batch,h,w,c]; kLabels u32 [batch] where classes are used. Errors: as
  // of `ito train` for such options and images; what has to be measured on the images.
  static Result<std::unique_ptr<TrainingJob>> create(vk::Device& device,
                                                     const TrainingJobOptions& options);

  // The next batch, which the inputs hold, and behind the last of an update the update. Error
  // kInvalidArgument: the batch before is recorded in part.
  Status begin();
  // Only of a batch of which nothing is recorded.
  Status cancel() override;

  // Updates that are recorded as a whole; they have no end.
  int64_t step() const override { return batches() / task_->step.accumulation; }
  int64_t steps() const override { return 0; }
  const Shape& shape() const override { return task_->batch_shape; }  // [batch,h,w,c] as trained
  // Error kDiverged naming the update whose loss is not finite, of those the ring of losses holds;
  // where the loss is scaled, only when no scale is small enough.
  Status check() override;

  // The loss of the newest update and what belongs to it, once its commands have been executed.
  // Waits. Error kInvalidArgument: there was none.
  Result<LossReport> report();
  // Writes the model as `ito train` does. Waits.
  Status save(const Path& folder) const;

  const TrainingTask& task() const { return *task_; }
  const ClassNames& class_names() const { return classes_; }
  // The averaged weights where they are trained: they change with every update.
  DeviceWeights weights() const { return programs_->average(); }

 private:
  TrainingJob() = default;
  int64_t batches() const { return batches_ + (done() ? 1 : 0); }

  std::unique_ptr<TrainingTask> task_;
  std::shared_ptr<const InitialModel> initial_;
  ClassNames classes_;
  std::unique_ptr<TrainingPrograms> programs_;
  size_t update_unit_ = 0;  // of units_; none where every batch is an update
  int64_t batches_ = 0;     // recorded before the present one
};

}  // namespace ito
