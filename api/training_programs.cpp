#include "api/training_programs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/error.h"
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

LossReport loss_report(const LossNumbers& numbers, int64_t step, int64_t count) {
  LossReport report;
  report.step = step;
  report.grad_norm = numbers.grad_norm;
  report.learning_rate = numbers.learning_rate;
  report.scale = numbers.scale;
  int64_t counted = 0;
  for (int64_t k = step - count; k < step; ++k) {
    const float loss = numbers.history[static_cast<size_t>(k) % numbers.history.size()];
    const bool bad = !std::isfinite(loss);
    if (report.first_bad == 0 && bad) report.first_bad = k + 1;
    if (bad && report.scale) continue;
    report.loss += loss;
    ++counted;
  }
  report.loss /= static_cast<double>(counted);
  return report;
}

Result<std::unique_ptr<TrainingPrograms>> TrainingPrograms::create(vk::Device& device,
                                                                   const TrainingTask& task,
                                                                   uint64_t seed) {
  PlannedPrograms programs(device);
  ITO_ASSIGN(auto self, planned(device, programs, task, seed));
  ITO_TRY(programs.make_kernels());
  ITO_TRY(self->make_executors(programs));
  return self;
}

Result<std::unique_ptr<TrainingPrograms>> TrainingPrograms::planned(vk::Device& device,
                                                                    PlannedPrograms& programs,
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
  if (task.step.microbatches > 0) {
    ITO_ASSIGN(self->batch_place_, programs.add(microbatch_program(set, task.loss, task.step)));
    const int64_t levels = SumTree{task.step.own_microbatches}.levels();
    for (int64_t merges = 0; levels > 0 && merges <= levels; ++merges) {
      ITO_ASSIGN(const size_t place, programs.add(merge_program(set, task.step, merges)));
      self->merge_places_.push_back(place);
    }
    ITO_ASSIGN(self->update_place_, programs.add(update_program(set, task.step)));
  } else if (task.step.accumulation > 1) {
    ITO_ASSIGN(self->batch_place_, programs.add(accumulate_program(set, task.loss, task.step)));
    ITO_ASSIGN(self->update_place_, programs.add(apply_program(set, task.step)));
  } else {
    ITO_ASSIGN(self->batch_place_, programs.add(train_step_program(set, task.loss, task.step)));
  }
  return self;
}

Status TrainingPrograms::make_executors(PlannedPrograms& programs) {
  ITO_ASSIGN(batch_, make_executor(programs, batch_place_));
  for (const size_t place : merge_places_) {
    ITO_ASSIGN(auto merge, make_executor(programs, place));
    merges_.push_back(std::move(merge));
  }
  if (update_place_) {
    ITO_ASSIGN(update_, make_executor(programs, *update_place_));
  }
  ITO_ASSIGN(history_, last().tensor(state_name::kLossHistory));
  ITO_ASSIGN(norm_, last().tensor("grad_norm"));
  ITO_ASSIGN(rate_, last().tensor("lr"));
  if (options_.precision.scales_loss) {
    ITO_ASSIGN(scale_, last().tensor(state_name::kLossScale));
    ITO_ASSIGN(skipped_, last().tensor(state_name::kSkippedSteps));
  }
  return {};
}

std::vector<DeviceTensor> TrainingPrograms::gradient_sums() const {
  std::vector<DeviceTensor> sums;
  for (const State& state : state_)
    if (state.description.checkpoint_name() == state_name::kGradientSum)
      sums.push_back(state.tensor);
  return sums;
}

DeviceTensor TrainingPrograms::loss_sum() const {
  for (const State& state : state_)
    if (state.description.name == state_name::kLossSum) return state.tensor;
  return {};
}

std::vector<DeviceTensor> TrainingPrograms::state_tensors() const {
  std::vector<DeviceTensor> tensors;
  for (const State& state : state_)
    if (!state.description.passing) tensors.push_back(state.tensor);
  return tensors;
}

Executor* TrainingPrograms::merge_after(int64_t block) {
  return merges_.empty() ? nullptr
                         : merges_[static_cast<size_t>(SumTree::merges_after(block))].get();
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
      ITO_TRY(start_anew(state));
  }
  return {};
}

Status TrainingPrograms::start_anew(const State& state) const {
  const StateTensor& description = state.description;
  const uint32_t word = description.dtype == DType::kU32
                            ? static_cast<uint32_t>(description.value)
                            : std::bit_cast<uint32_t>(static_cast<float>(description.value));
  return vk::fill_now(device_, *state.tensor.buffer(), state.tensor.offset(), state.tensor.size(),
                      word);
}

Result<std::unique_ptr<Executor>> TrainingPrograms::make_executor(PlannedPrograms& programs,
                                                                  size_t place) {
  ITO_ASSIGN(std::unique_ptr<Executor> executor, programs.executor(place));
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

Result<LossReport> TrainingPrograms::report(int64_t step, int64_t count,
                                            const HostMirror& results) const {
  LossNumbers numbers;
  numbers.history.resize(static_cast<size_t>(loss_history()));
  ITO_TRY(results.read(history_, writable_bytes_of(numbers.history)));
  const auto read_one = [&](const DeviceTensor& tensor, auto& number) {
    return results.read(tensor, std::as_writable_bytes(std::span(&number, 1)));
  };
  ITO_TRY(read_one(norm_, numbers.grad_norm));
  ITO_TRY(read_one(rate_, numbers.learning_rate));
  if (scale_.valid()) {
    float scale = 0;
    uint32_t skipped = 0;
    ITO_TRY(read_one(scale_, scale));
    ITO_TRY(read_one(skipped_, skipped));
    numbers.scale = {.scale = scale, .skipped = skipped};
  }
  return loss_report(numbers, step, std::min(count, loss_history()));
}

std::vector<DeviceTensor> TrainingPrograms::report_tensors() const {
  std::vector<DeviceTensor> tensors = {history_, norm_, rate_};
  if (scale_.valid()) tensors.insert(tensors.end(), {scale_, skipped_});
  return tensors;
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
    if (state.description.passing || file.tensors.count(name) > 0) continue;
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
    if (wanted.passing) continue;
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
  return {};
}

}  // namespace ito
