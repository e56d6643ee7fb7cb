#include "api/training.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/error.h"
#include "graph/compile.h"

namespace ito {
namespace {

// Of a state that is written, in host memory.
constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

// The bytes of a segment among those of its whole state.
std::span<const std::byte> part_of(const StateTensor& state, std::span<const std::byte> whole) {
  const size_t size = dtype_size(state.dtype);
  return whole.subspan(static_cast<size_t>(state.first) * size,
                       static_cast<size_t>(state.shape.numel()) * size);
}

}  // namespace

Result<std::unique_ptr<TrainingSession>> TrainingSession::create(vk::Device& device,
                                                                 const TrainingTask& task,
                                                                 const ImageDataset& data,
                                                                 uint64_t seed) {
  std::unique_ptr<TrainingSession> session(new TrainingSession(device, task, data, seed));
  ITO_ASSIGN(session->network_, task.network.for_device(device.caps()));
  const ParameterSet& set = session->network_.set();
  ITO_TRY(session->make_state(seed));
  if (task.step.accumulation > 1) {
    ITO_ASSIGN(session->train_,
               session->make_executor(accumulate_program(set, task.loss, task.step), seed));
    ITO_ASSIGN(session->apply_, session->make_executor(apply_program(set, task.step), seed));
  } else {
    ITO_ASSIGN(session->train_,
               session->make_executor(train_step_program(set, task.loss, task.step), seed));
  }
  return session;
}

Status TrainingSession::make_state(uint64_t seed) {
  // The device's memory first: where it does not suffice, the host's is not asked for.
  for (StateTensor& description : train_state(network_.set(), task_.step)) {
    ITO_ASSIGN(DeviceTensor tensor,
               DeviceTensor::create(device_, description.dtype, description.shape));
    state_.push_back({std::move(description), std::move(tensor)});
  }
  const std::vector<float> weights = task_.initial_weights.empty()
                                         ? initial_parameters(network_.set(), seed)
                                         : task_.initial_weights;
  for (const State& state : state_)
    if (state.description.start == StateTensor::Start::kParameters)
      ITO_TRY(state.tensor.write(std::as_bytes(
          std::span(weights).subspan(static_cast<size_t>(state.description.first),
                                     static_cast<size_t>(state.description.shape.numel())))));
    else if (state.description.value != 0)
      ITO_TRY(start_anew(state));
  return {};
}

Status TrainingSession::start_anew(const State& state) {
  const StateTensor& description = state.description;
  const auto count = static_cast<size_t>(description.shape.numel());
  if (description.dtype == DType::kU32) {
    const std::vector<uint32_t> words(count, static_cast<uint32_t>(description.value));
    return state.tensor.write(std::as_bytes(std::span(words)));
  }
  const std::vector<float> numbers(count, static_cast<float>(description.value));
  return state.tensor.write(std::as_bytes(std::span(numbers)));
}

Result<std::unique_ptr<Executor>> TrainingSession::make_executor(const Program& program,
                                                                 uint64_t seed) {
  ITO_ASSIGN(Plan plan, compile(program, device_.caps()));
  ITO_ASSIGN(std::unique_ptr<Executor> executor, Executor::create(device_, std::move(plan)));
  for (const State& state : state_) {
    if (executor->plan().find_external(state.description.name) >= 0)
      ITO_TRY(executor->bind(state.description.name, state.tensor));
  }
  if (executor->has(batch_ports::kKey)) {
    const std::vector<uint32_t> key = {static_cast<uint32_t>(seed),
                                       static_cast<uint32_t>(seed >> 32)};
    ITO_TRY(executor->write(batch_ports::kKey, key));
  }
  ITO_TRY(executor->prepare());
  return executor;
}

Status TrainingSession::upload_batch() {
  if (!loader_)
    loader_ = std::make_unique<BatchLoader>(
        data_,
        BatchShape{.images = task_.batch_shape, .labels = task_.classes > 0, .flip = task_.flip},
        seed_, step_ * task_.step.accumulation);
  ITO_ASSIGN(const LoadedBatch* batch, loader_->next());
  ITO_TRY(train_->enqueue_write(batch_ports::kImages, batch->images));
  if (task_.classes > 0) ITO_TRY(train_->enqueue_write(batch_ports::kLabels, batch->labels));
  return {};
}

Status TrainingSession::advance() {
  for (int64_t k = 0; k < task_.step.accumulation; ++k) {
    ITO_TRY(upload_batch());
    ITO_TRY(train_->run());
  }
  if (apply_) ITO_TRY(apply_->run());
  ++step_;
  return {};
}

Status TrainingSession::request_report(int64_t count) {
  Executor& executor = apply_ ? *apply_ : *train_;
  Pending pending;
  pending.step = step_;
  pending.count = std::min(count, task_.step.loss_history);
  ITO_ASSIGN(pending.history, executor.enqueue_read(state_name::kLossHistory));
  ITO_ASSIGN(pending.norm, executor.enqueue_read("grad_norm"));
  ITO_ASSIGN(pending.rate, executor.enqueue_read("lr"));
  if (executor.plan().find_external(state_name::kLossScale) >= 0) {
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
  std::vector<float> history(static_cast<size_t>(task_.step.loss_history));
  float norm = 0, rate = 0;
  ITO_TRY(pending.history.read(writable_bytes_of(history)));
  ITO_TRY(pending.norm.read(std::as_writable_bytes(std::span(&norm, 1))));
  ITO_TRY(pending.rate.read(std::as_writable_bytes(std::span(&rate, 1))));
  LossReport report;
  report.step = pending.step;
  report.grad_norm = norm;
  report.learning_rate = rate;
  if (pending.scale) {
    float scale = 0;
    uint32_t skipped = 0;
    ITO_TRY(pending.scale->read(std::as_writable_bytes(std::span(&scale, 1))));
    ITO_TRY(pending.skipped->read(std::as_writable_bytes(std::span(&skipped, 1))));
    report.scale = {.scale = scale, .skipped = skipped};
  }
  int64_t counted = 0;
  for (int64_t k = pending.step - pending.count; k < pending.step; ++k) {
    const float loss = history[static_cast<size_t>(k % task_.step.loss_history)];
    const bool bad = !std::isfinite(loss);
    if (report.first_bad == 0 && bad) report.first_bad = k + 1;
    if (bad && report.scale) continue;
    report.loss += loss;
    ++counted;
  }
  report.loss /= static_cast<double>(counted);
  pending_.pop_front();
  return std::optional<LossReport>(report);
}

Shape TrainingSession::whole_shape(std::string_view name) const {
  Shape shape;
  for (const State& state : state_) {
    if (state.description.checkpoint_name() != name) continue;
    if (!state.description.is_segment()) return state.description.shape;
    shape = Shape{state.description.first + state.description.shape[0]};
  }
  return shape;
}

DeviceWeights TrainingSession::average(size_t i) const {
  const Optimizer& optimizer = task_.step.optimizer;
  const std::string name =
      optimizer.averages() == 0 ? state_name::kParameters : average_name(optimizer, i);
  std::vector<DeviceTensor> segments;
  for (const State& state : state_)
    if (state.description.checkpoint_name() == name) segments.push_back(state.tensor);
  return DeviceWeights(std::move(segments));
}

Status TrainingSession::write_state(std::string_view name, const ByteSink& sink) const {
  std::vector<char> piece;
  for (const State& state : state_) {
    if (state.description.checkpoint_name() != name) continue;
    const uint64_t size = state.tensor.size();
    for (uint64_t at = 0; at < size; at += piece.size()) {
      piece.resize(std::min<uint64_t>(kPieceBytes, size - at));
      ITO_TRY(state.tensor.read_part(at, writable_bytes_of(piece)));
      ITO_TRY(sink({piece.data(), piece.size()}));
    }
  }
  return {};
}

TensorFile TrainingSession::save() const {
  TensorFile file;
  for (const State& state : state_) {
    const std::string& name = state.description.checkpoint_name();
    if (file.tensors.count(name) > 0) continue;
    HostTensor tensor;
    tensor.type = state.description.dtype == DType::kU32 ? HostType::kU32 : HostType::kF32;
    tensor.shape = whole_shape(name);
    tensor.bytes = TensorBytes::made(
        static_cast<size_t>(tensor.shape.numel()) * dtype_size(state.description.dtype),
        [this, name](const ByteSink& sink) { return write_state(name, sink); });
    file.tensors.emplace(name, std::move(tensor));
  }
  return file;
}

Status TrainingSession::load(const TensorFile& file, int64_t step) {
  for (const State& state : state_) {
    const StateTensor& wanted = state.description;
    const std::string& name = wanted.checkpoint_name();
    const Shape shape = whole_shape(name);
    if (wanted.may_be_absent && file.tensors.count(name) == 0) {
      ITO_TRY(start_anew(state));
      continue;
    }
    ITO_ASSIGN(const HostTensor* tensor, find_tensor(file, name, "checkpoint"));
    const HostType type = wanted.dtype == DType::kU32 ? HostType::kU32 : HostType::kF32;
    if (tensor->type != type || tensor->shape != shape)
      return corrupt("checkpoint: tensor '{}' is {} {}, expected {} {}", name,
                     host_type_name(tensor->type), tensor->shape.to_string(), host_type_name(type),
                     shape.to_string());
    ITO_TRY(state.tensor.write(part_of(wanted, std::as_bytes(std::span(tensor->bytes)))));
  }
  step_ = step;
  loader_ = nullptr;
  pending_.clear();
  return {};
}

}  // namespace ito
