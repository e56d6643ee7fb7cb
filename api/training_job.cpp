#include "api/training_job.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "api/objectives.h"
#include "api/training_rows.h"
#include "base/error.h"
#include "nn/loss_scale.h"

namespace ito {
namespace {

// Images without pixels: one of each class.
ImageDataset described(const TrainingImages& images) {
  ImageDataset data;
  data.h = images.h;
  data.w = images.w;
  data.c = images.c;
  data.names = images.names;
  data.count = images.classes;
  if (images.classes > 0) {
    data.labels.emplace(static_cast<size_t>(images.classes));
    std::iota(data.labels->begin(), data.labels->end(), 0);
  }
  return data;
}

// What a run takes from its images or its length, a job must be told.
Status check_all_is_told(const TrainingOptions& options) {
  ITO_TRY(check_training_options(options));
  ITO_ASSIGN(const TrainedProcessRow* process, trained_process(options));
  if (process->sigma_from_data && options.sigma_max == 0)
    return invalid_argument(
        "sigma-max is 0, which is measured on a data set; a job wants it, above sigma-min");
  ITO_ASSIGN(const DecayRow* decay, row_called(decay_rows(), options.lr_decay, "--lr-decay"));
  if (decay->falls && options.decay_steps == 0)
    return invalid_argument(
        "lr-decay is {}, which ends at the last step; a job has none and wants decay-steps",
        options.lr_decay);
  if (options.microbatch > 0)
    return invalid_argument(
        "microbatch is {}, but a job computes the batch that it is given at once; a smaller batch "
        "with accumulate makes as large a step",
        options.microbatch);
  return {};
}

}  // namespace

Result<std::unique_ptr<TrainingJob>> TrainingJob::create(vk::Device& device,
                                                         const TrainingJobOptions& given) {
  if (!vk::can_compile())
    return unsupported(
        "a training compiles its kernels, and this library has no compiler (it was built with "
        "-DITO_COMPILER=OFF); `ito pack` makes packs for sampling and evaluations");
  std::unique_ptr<TrainingJob> job(new TrainingJob);
  TrainingOptions options = given.training;
  const InitialModel* initial = given.initial.get();
  if (initial != nullptr) {
    ITO_ASSIGN(options, options_of_model(*initial, options, given.given));
  } else {
    ITO_TRY(set_defaults(options, given.given));
  }
  ITO_TRY(check_all_is_told(options));
  const ImageDataset data = described(given.images);
  ITO_ASSIGN(TrainingTask task, make_task(options, data, initial));
  job->task_ = std::make_unique<TrainingTask>(std::move(task));
  job->initial_ = given.initial;
  job->classes_ = ito::class_names(data);
  PlannedPrograms planned(device);
  ITO_ASSIGN(job->programs_, TrainingPrograms::planned(device, planned, *job->task_, options.seed));
  TrainingPrograms& programs = *job->programs_;
  const Shape& batch = job->task_->batch_shape;
  const Shape pictures{batch[0], data.h, data.w, data.c};
  ITO_ASSIGN(const PlannedInput images,
             planned_input(planned, JobInputKind::kPictures, programs.batch_place(),
                           batch_ports::kImages.name, given.pictures, &pictures));
  ITO_TRY(planned.make_kernels());
  ITO_TRY(programs.make_executors(planned));
  ITO_TRY(job->add_input(planned, images, programs.batch()));
  if (job->task_->classes > 0)
    ITO_TRY(job->add_classes(JobInputKind::kLabels, programs.batch(), batch_ports::kLabels.name,
                             job->task_->classes));
  ITO_TRY(job->warm_up(programs.batch()));
  job->add_units(programs.batch());
  if (Executor* update = programs.update()) {
    ITO_TRY(job->warm_up(*update));
    job->update_unit_ = job->add_units(*update);
  }
  for (const DeviceTensor& tensor : programs.report_tensors())
    ITO_TRY(job->add_result(device, tensor));
  ITO_TRY(programs.start(*job->task_));  // of which the steps above have left nothing
  job->task_->initial_weights = {};
  return job;
}

Status TrainingJob::begin() {
  if (under_way())
    return invalid_argument("a batch is recorded in part; record the rest before the next begins");
  batches_ = batches();
  ITO_TRY(Job::begin());
  const int64_t accumulation = task_->step.accumulation;
  if (accumulation > 1) units_[update_unit_].times = (batches_ + 1) % accumulation == 0 ? 1 : 0;
  return {};
}

Status TrainingJob::cancel() {
  if (under_way())
    return unsupported(
        "a batch is recorded in part, and half of a step would spoil the weights; record the rest");
  batches_ = batches();
  return Job::cancel();
}

Result<LossReport> TrainingJob::report() {
  if (step() == 0) return invalid_argument("no update is recorded yet, so there is no loss");
  return programs_->report(step(), 1, results());
}

// A scaled loss may be no number now and then: the step was left out.
Status TrainingJob::check() {
  if (step() == 0) return {};
  ITO_ASSIGN(const LossReport report,
             programs_->report(step(), std::min(step(), programs_->loss_history()), results()));
  if (report.scale) {
    if (report.scale->scale > kLeastLossScale) return {};
    return diverged(
        "no gradient is finite at step {} however small the loss scale is; try precision fp32 or "
        "bf16, or a smaller lr",
        report.step);
  }
  if (report.first_bad == 0) return {};
  return diverged("the loss is not finite at step {}; try a smaller lr", report.first_bad);
}

Status TrainingJob::save(const Path& folder) const {
  return export_trained(
      folder, *task_, initial_.get(), [&](size_t i) { return programs_->average(i); }, classes_);
}

}  // namespace ito
