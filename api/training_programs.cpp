#include "api/training_programs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "graph/compile.h"
#include "runtime/vk/staging.h"

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

LossReport loss_report(std::span<const float> history, int64_t step, int64_t count, float grad_norm,
                       float learning_rate) {
  LossReport report{
      .step = step, .loss = 0, .grad_norm = grad_norm, .learning_rate = learning_rate};
  for (int64_t k = step - count; k < step; ++k) {
    const float loss = history[static_cast<size_t>(k) % history.size()];
    report.loss += loss;
    if (report.first_bad == 0 && !std::isfinite(loss)) report.first_bad = k + 1;
  }
  report.loss /= static_cast<double>(count);
  return report;
}

Result<std::unique_ptr<TrainingPrograms>> TrainingPrograms::create(vk::Device& device,
                                                                   const TrainingTask& task,
                                                                   uint64_t seed) {
  std::unique_ptr<TrainingPrograms> self(new TrainingPrograms(device, task.step, seed));
  ITO_ASSIGN(self->network_, task.network.for_device(device.caps()));
  const ParameterSet& set = self->network_.set();
  for (StateTensor& description : train_state(set, task.step)) {
    ITO_ASSIGN(DeviceTensor tensor,
               DeviceTensor::create(device, description.dtype, description.shape));
    self->state_.push_back({std::move(description), std::move(tensor)});
  }
  if (task.step.accumulation > 1) {
    ITO_ASSIGN(self->batch_, self->make_executor(accumulate_program(set, task.loss, task.step)));
    ITO_ASSIGN(self->update_, self->make_executor(apply_program(set, task.step)));
  } else {
    ITO_ASSIGN(self->batch_, self->make_executor(train_step_program(set, task.loss, task.step)));
  }
  return self;
}

Status TrainingPrograms::start(const TrainingTask& task) {
  const std::vector<float> weights = task.initial_weights.empty()
                                         ? initial_parameters(network_.set(), seed_)
                                         : task.initial_weights;
  for (const State& state : state_) {
    const StateTensor& description = state.description;
    if (description.start == StateTensor::Start::kParameters)
      ITO_TRY(state.tensor.write(std::as_bytes(
          std::span(weights).subspan(static_cast<size_t>(description.first),
                                     static_cast<size_t>(description.shape.numel())))));
    else
      ITO_TRY(vk::fill_now(device_, *state.tensor.buffer(), state.tensor.offset(),
                           state.tensor.size(), 0));
  }
  return {};
}

Result<std::unique_ptr<Executor>> TrainingPrograms::make_executor(const Program& program) {
  ITO_ASSIGN(Plan plan, compile(program, device_.caps()));
  ITO_ASSIGN(std::unique_ptr<Executor> executor, Executor::create(device_, std::move(plan)));
  for (const State& state : state_) {
    if (executor->plan().find_external(state.description.name) >= 0)
      ITO_TRY(executor->bind(state.description.name, state.tensor));
  }
  if (executor->has(batch_ports::kKey)) {
    const std::vector<uint32_t> key = {static_cast<uint32_t>(seed_),
                                       static_cast<uint32_t>(seed_ >> 32)};
    ITO_TRY(executor->write(batch_ports::kKey, key));
  }
  ITO_TRY(executor->prepare());
  return executor;
}

Result<LossReport> TrainingPrograms::report(int64_t step, int64_t count) {
  ITO_ASSIGN(const auto history, last().read<float>(state_name::kLossHistory));
  ITO_ASSIGN(const auto norm, last().read<float>("grad_norm"));
  ITO_ASSIGN(const auto rate, last().read<float>("lr"));
  return loss_report(history, step, std::min(count, loss_history()), norm[0], rate[0]);
}

Shape TrainingPrograms::whole_shape(std::string_view name) const {
  Shape shape;
  for (const State& state : state_) {
    if (state.description.checkpoint_name() != name) continue;
    if (!state.description.is_segment()) return state.description.shape;
    shape = Shape{state.description.first + state.description.shape[0]};
  }
  return shape;
}

DeviceWeights TrainingPrograms::average(size_t i) const {
  const Optimizer& optimizer = options_.optimizer;
  const std::string name =
      optimizer.averages() == 0 ? state_name::kParameters : average_name(optimizer, i);
  std::vector<DeviceTensor> segments;
  for (const State& state : state_)
    if (state.description.checkpoint_name() == name) segments.push_back(state.tensor);
  return DeviceWeights(std::move(segments));
}

Status TrainingPrograms::write_state(std::string_view name, const ByteSink& sink) const {
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

TensorFile TrainingPrograms::save() const {
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

Status TrainingPrograms::load(const TensorFile& file) {
  for (const State& state : state_) {
    const StateTensor& wanted = state.description;
    const std::string& name = wanted.checkpoint_name();
    const Shape shape = whole_shape(name);
    ITO_ASSIGN(const HostTensor* tensor, find_tensor(file, name, "checkpoint"));
    const HostType type = wanted.dtype == DType::kU32 ? HostType::kU32 : HostType::kF32;
    if (tensor->type != type || tensor->shape != shape)
      return corrupt("checkpoint: tensor '{}' is {} {}, expected {} {}", name,
                     host_type_name(tensor->type), tensor->shape.to_string(), host_type_name(type),
                     shape.to_string());
    ITO_TRY(state.tensor.write(part_of(wanted, std::as_bytes(std::span(tensor->bytes)))));
  }
  return {};
}

}  // namespace ito
