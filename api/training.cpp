#include "api/training.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ito {

Result<std::unique_ptr<TrainingSession>> TrainingSession::create(vk::Device& device,
                                                                 const TrainingTask& task,
                                                                 const ImageDataset& data,
                                                                 uint64_t seed) {
  std::unique_ptr<TrainingSession> session(new TrainingSession(task, data, seed));
  ITO_ASSIGN(session->programs_, TrainingPrograms::create(device, task, seed));
  ITO_TRY(session->programs_->start(task));
  return session;
}

Status TrainingSession::upload_batch() {
  if (!loader_)
    loader_ = std::make_unique<BatchLoader>(
        data_,
        BatchShape{.images = task_.batch_shape, .labels = task_.classes > 0, .flip = task_.flip},
        seed_, step_ * task_.step.accumulation);
  ITO_ASSIGN(const LoadedBatch* batch, loader_->next());
  ITO_TRY(programs_->batch().enqueue_write(batch_ports::kImages, batch->images));
  if (task_.classes > 0)
    ITO_TRY(programs_->batch().enqueue_write(batch_ports::kLabels, batch->labels));
  return {};
}

Status TrainingSession::advance() {
  for (int64_t k = 0; k < task_.step.accumulation; ++k) {
    ITO_TRY(upload_batch());
    ITO_TRY(programs_->batch().run());
  }
  if (Executor* update = programs_->update()) ITO_TRY(update->run());
  ++step_;
  return {};
}

Status TrainingSession::request_report(int64_t count) {
  Executor& executor = programs_->last();
  Pending pending;
  pending.step = step_;
  pending.count = std::min(count, task_.step.loss_history);
  ITO_ASSIGN(pending.history, executor.enqueue_read(state_name::kLossHistory));
  ITO_ASSIGN(pending.norm, executor.enqueue_read("grad_norm"));
  ITO_ASSIGN(pending.rate, executor.enqueue_read("lr"));
  if (task_.step.precision.scales_loss) {
    ITO_ASSIGN(pending.scale, executor.enqueue_read(state_name::kLossScale));
    ITO_ASSIGN(pending.skipped, executor.enqueue_read(state_name::kSkippedSteps));
  }
  pending_.push_back(std::move(pending));
  return {};
}

Result<std::optional<LossReport>> TrainingSession::take_report(bool wait) {
  if (pending_.empty()) return std::optional<LossReport>{};
  const Pending& pending = pending_.front();
  if (!wait) {
    const vk::ReadTicket& last = pending.skipped ? *pending.skipped : pending.rate;
    ITO_ASSIGN(const bool ready, last.ready());
    if (!ready) return std::optional<LossReport>{};
  }
  LossNumbers numbers;
  numbers.history.resize(static_cast<size_t>(task_.step.loss_history));
  ITO_TRY(pending.history.read(writable_bytes_of(numbers.history)));
  ITO_TRY(pending.norm.read(std::as_writable_bytes(std::span(&numbers.grad_norm, 1))));
  ITO_TRY(pending.rate.read(std::as_writable_bytes(std::span(&numbers.learning_rate, 1))));
  if (pending.scale) {
    float scale = 0;
    uint32_t skipped = 0;
    ITO_TRY(pending.scale->read(std::as_writable_bytes(std::span(&scale, 1))));
    ITO_TRY(pending.skipped->read(std::as_writable_bytes(std::span(&skipped, 1))));
    numbers.scale = {.scale = scale, .skipped = skipped};
  }
  const LossReport report = loss_report(numbers, pending.step, pending.count);
  pending_.pop_front();
  return std::optional<LossReport>(report);
}

Status TrainingSession::load(const TensorFile& file, int64_t step) {
  ITO_TRY(programs_->load(file));
  step_ = step;
  loader_ = nullptr;
  pending_.clear();
  return {};
}

}  // namespace ito
