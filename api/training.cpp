#include "api/training.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "base/error.h"

namespace ito {

Result<std::unique_ptr<TrainingSession>> TrainingSession::create(vk::Device& device,
                                                                 const TrainingTask& task,
                                                                 const ImageDataset& data,
                                                                 uint64_t seed,
                                                                 const Ranks& ranks) {
  std::unique_ptr<TrainingSession> session(new TrainingSession(task, data, seed, ranks));
  ITO_ASSIGN(session->programs_, TrainingPrograms::create(device, task, seed));
  ITO_TRY(session->programs_->start(task));
  return session;
}

int64_t TrainingSession::batches_per_step() const {
  return task_.step.microbatches > 0 ? task_.step.own_microbatches : task_.step.accumulation;
}

Status TrainingSession::upload_batch() {
  if (!loader_) {
    const int64_t own = task_.step.own_microbatches;
    BatchShare share;
    if (task_.step.microbatches > 0)
      share = {.of = task_.step.microbatches, .first = own * ranks_.rank(), .count = own};
    loader_ = std::make_unique<BatchLoader>(
        data_,
        BatchShape{.images = task_.batch_shape, .labels = task_.classes > 0, .flip = task_.flip},
        seed_, step_ * batches_per_step(), share);
  }
  ITO_ASSIGN(const LoadedBatch* batch, loader_->next());
  ITO_TRY(programs_->batch().enqueue_write(batch_ports::kImages, batch->images));
  if (task_.classes > 0)
    ITO_TRY(programs_->batch().enqueue_write(batch_ports::kLabels, batch->labels));
  return {};
}

// The k-th of this rank's, and what follows it in the tree of sums.
Status TrainingSession::compute_microbatch(int64_t k) {
  Executor& executor = programs_->batch();
  const SumTree own{task_.step.own_microbatches};
  const int64_t place = own.parts * ranks_.rank() + k;
  const auto tell = [&](const Port<uint32_t>& port, int64_t value) -> Status {
    if (!executor.has(port)) return {};
    return executor.enqueue_write(port, std::vector<uint32_t>{static_cast<uint32_t>(value)});
  };
  ITO_TRY(tell(batch_ports::kFirstImage, place * task_.batch_shape[0]));
  ITO_TRY(tell(kFirstOfBlock, k % own.block() == 0 ? 1 : 0));
  ITO_TRY(executor.run());
  if ((k + 1) % own.block() != 0) return {};
  Executor* merge = programs_->merge_after(k / own.block());
  return merge == nullptr ? Status() : merge->run();
}

Result<bool> TrainingSession::advance(bool wish) {
  for (int64_t k = 0; k < batches_per_step(); ++k) {
    ITO_TRY(upload_batch());
    ITO_TRY(task_.step.microbatches > 0 ? compute_microbatch(k) : programs_->batch().run());
  }
  if (ranks_.several()) {
    ITO_ASSIGN(wish, sum_over_ranks(wish));
  }
  if (Executor* update = programs_->update()) ITO_TRY(update->run());
  ++step_;
  return wish;
}

// Gradient and loss of this rank's microbatches become those of all.
Result<bool> TrainingSession::sum_over_ranks(bool wish) {
  ITO_TRY(programs_->batch().wait());  // so that what follows is the ranks' own time
  const Clock::time_point begun = Clock::now();
  const uint64_t sent = ranks_.bytes_sent();
  if (!exchange_)
    exchange_ =
        std::make_unique<GradientExchange>(programs_->batch().device(), programs_->gradient_sums());
  ITO_TRY(exchange_->sum(ranks_));
  std::array<float, 2> few = {0, wish ? 1.0F : 0.0F};
  const DeviceTensor loss = programs_->loss_sum();
  ITO_TRY(loss.read(std::as_writable_bytes(std::span(few).first(1))));
  ITO_TRY(ranks_.sum(few));
  ITO_TRY(loss.write(std::as_bytes(std::span(few).first(1))));
  costs_.seconds += seconds_since(begun);
  costs_.bytes += ranks_.bytes_sent() - sent;
  return few[1] > 0;
}

Status TrainingSession::share() {
  if (!ranks_.several()) return {};
  for (const DeviceTensor& tensor : programs_->state_tensors()) {
    std::vector<std::byte> bytes(tensor.size());
    if (ranks_.first()) ITO_TRY(tensor.read(bytes));
    ITO_TRY(ranks_.broadcast(bytes));
    if (!ranks_.first()) ITO_TRY(tensor.write(bytes));
  }
  ITO_TRY(ranks_.broadcast(std::as_writable_bytes(std::span(&step_, 1))));
  loader_ = nullptr;
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
