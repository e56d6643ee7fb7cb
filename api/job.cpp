#include "api/job.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

// Replays of a warm-up. A CPU driver compiles its kernels in the first, which is not counted, and
// shares its processors with others.
constexpr uint32_t kWarmUpReplays = 5;
constexpr uint32_t kWarmUpReplaysOfGpu = 2;
constexpr size_t kMostUpdateBytes = 65536;  // of Vulkan

}  // namespace

void update_words(vk::CommandRecorder& recorder, const DeviceTensor& tensor,
                  std::span<const std::byte> bytes, uint64_t offset) {
  for (size_t at = 0; at < bytes.size(); at += kMostUpdateBytes) {
    const size_t size = std::min(kMostUpdateBytes, bytes.size() - at);
    recorder.update(*tensor.buffer(), tensor.offset() + offset + at, bytes.subspan(at, size));
  }
}

Status Job::warm_up(Executor& executor) {
  warm_.push_back(&executor);
  ITO_TRY(executor.prepare());
  vk::Device& device = executor.device();
  if (!device.queue().can_submit()) return {};
  return executor.measure_calls(device.caps().is_cpu ? kWarmUpReplays : kWarmUpReplaysOfGpu);
}

Status Job::add_result(vk::Device& device, const DeviceTensor& tensor) {
  return HostMirror::needed(device, tensor) ? results_.add(device, tensor) : Status{};
}

void Job::record_results(vk::CommandRecorder& recorder) const {
  if (!results_.empty()) results_.record(recorder);
}

size_t Job::add_units(Executor& executor, int64_t times) {
  const Plan& plan = executor.plan();
  if (plan.prologue > 0) units_.push_back({&executor, 0, plan.prologue, 1, true});
  units_.push_back({&executor, plan.prologue, plan.calls.size(), times});
  return units_.size() - 1;
}

Result<Job::PlannedInput> Job::planned_input(PlannedPrograms& programs, JobInputKind kind,
                                             size_t reader, std::string_view port,
                                             std::optional<PixelFormat> format,
                                             const Shape* given) {
  const Plan& plan = programs.plan(reader);
  const int external = plan.find_external(port);
  if (external < 0) return invalid_argument("the program '{}' has no input '{}'", plan.name, port);
  const Shape numbers = plan.externals[static_cast<size_t>(external)].shape;
  PlannedInput planned{.kind = kind,
                       .port = std::string(port),
                       .shape = given != nullptr ? *given : numbers,
                       .format = format,
                       .converter = {}};
  if (format || planned.shape != numbers) {
    ITO_ASSIGN(const Program program, source_program(planned.shape, numbers, format));
    ITO_ASSIGN(planned.converter, programs.add(program));
  }
  return planned;
}

Status Job::add_input(PlannedPrograms& programs, const PlannedInput& planned, Executor& reader) {
  ITO_ASSIGN(DeviceTensor numbers, reader.tensor(planned.port));
  const Shape& shape = planned.shape;
  const std::optional<PixelFormat> format = planned.format;
  JobInput input{.kind = planned.kind, .shape = shape, .format = format, .memory = numbers};
  if (planned.converter) {
    ITO_ASSIGN(auto converter, programs.executor(*planned.converter));
    ITO_TRY(converter->bind(source_ports::kX, std::move(numbers)));
    ITO_ASSIGN(input.memory, converter->tensor(source_ports::kPictures.name));
    ITO_TRY(warm_up(*converter));
    add_units(*converter);
    converters_.push_back(std::move(converter));
  }
  const auto one = static_cast<uint64_t>(shape.numel() / shape[0]);
  input.given_bytes = format
                          ? one / static_cast<uint64_t>(shape[3]) * pixel_bytes(*format, shape[3])
                          : one * sizeof(float);
  input.staged.resize(input.memory.size());
  input.staging.resize(static_cast<size_t>(shape[0]), JobInput::Row::kElsewhere);
  inputs_.push_back(std::move(input));
  return {};
}

Status Job::add_classes(JobInputKind kind, Executor& executor, std::string_view port,
                        int64_t classes) {
  ITO_ASSIGN(DeviceTensor labels, executor.tensor(port));
  JobInput input{.kind = kind, .shape = labels.shape(), .format = {}, .memory = labels};
  input.given_bytes = sizeof(uint32_t);
  input.classes = classes;
  input.staged.resize(labels.size());
  input.staging.resize(static_cast<size_t>(labels.shape()[0]), JobInput::Row::kElsewhere);
  inputs_.push_back(std::move(input));
  return {};
}

JobInput* Job::input(JobInputKind kind) {
  const auto found = std::find_if(inputs_.begin(), inputs_.end(),
                                  [&](const JobInput& input) { return input.kind == kind; });
  return found == inputs_.end() ? nullptr : &*found;
}

Status Job::write(JobInput& input, int64_t row, std::span<const std::byte> bytes) {
  if (row < 0 || row >= input.rows())
    return invalid_argument("row {} of an input was given, expected 0 to {}", row,
                            input.rows() - 1);
  if (bytes.size() != input.given_bytes)
    return invalid_argument("{} bytes were given for a row of an input, expected {}", bytes.size(),
                            input.given_bytes);
  if (input.classes > 0) {
    uint32_t label = 0;
    std::memcpy(&label, bytes.data(), sizeof label);
    if (label >= input.classes)
      return invalid_argument("class {} does not exist; there are classes 0 to {}", label,
                              input.classes - 1);
  }
  std::memcpy(input.staged.data() + static_cast<uint64_t>(row) * input.row_bytes(), bytes.data(),
              bytes.size());
  input.staging[static_cast<size_t>(row)] = JobInput::Row::kFresh;
  return {};
}

void Job::written_elsewhere(JobInput& input, int64_t row) {
  input.staging[static_cast<size_t>(row)] = JobInput::Row::kElsewhere;
}

// What was recorded of the inputs may not have reached the device.
void Job::stage_again() {
  for (JobInput& input : inputs_)
    std::replace(input.staging.begin(), input.staging.end(), JobInput::Row::kRecorded,
                 JobInput::Row::kFresh);
}

// The commands of a run that did not end may have been dropped, and what they would have brought.
void Job::forget() {
  if (!done()) {
    kept_ = false;
    stage_again();
  }
  begun_ = started_ = false;
  at_ = 0;
  round_ = 0;
}

Status Job::begin() {
  forget();
  if (trimmed_)
    for (Executor* executor : warm_) ITO_TRY(executor->prepare());
  trimmed_ = false;
  begun_ = true;
  cursor_ = {units_[0].first, 0};
  return {};
}

Status Job::cancel() {
  forget();
  return {};
}

Status Job::trim() {
  if (under_way())
    return invalid_argument(
        "something is recorded in part, which its working memory holds; record the rest or cancel");
  for (Executor* executor : warm_) ITO_TRY(executor->give_back_memory());
  kept_ = false;
  trimmed_ = true;
  return {};
}

void Job::record_inputs(vk::CommandRecorder& recorder) {
  for (JobInput& input : inputs_)
    for (size_t row = 0; row < input.staging.size(); ++row) {
      if (input.staging[row] != JobInput::Row::kFresh) continue;
      const uint64_t size = input.row_bytes(), at = row * size;
      update_words(recorder, input.memory, std::span(input.staged).subspan(at, size), at);
      input.staging[row] = JobInput::Row::kRecorded;
    }
}

void Job::next_round() {
  const Unit& unit = units_[at_];
  if (++round_ >= unit.times) {
    ++at_;
    round_ = 0;
  }
  if (done()) kept_ = true;
  if (at_ < units_.size()) cursor_ = {units_[at_].first, 0};
}

void Job::return_to(const Place& place) {
  if (started_ && !place.started) stage_again();
  started_ = place.started;
  kept_ = place.kept;
  at_ = place.at;
  round_ = place.round;
  cursor_ = place.cursor;
}

Status Job::record(vk::CommandRecorder& recorder, SliceBudget& budget) {
  if (!begun_) return invalid_argument("a job must be begun (restart) before it is recorded");
  if (done()) return {};
  recorder.begin_barrier();
  if (!started_) {
    record_inputs(recorder);
    record_start(recorder);
    recorder.begin_barrier();
    started_ = true;
  }
  bool must = true;
  while (!done()) {
    const Unit& unit = units_[at_];
    const bool skipped = unit.times == 0 || (unit.keeps && kept_);
    if (!skipped && unit.first < unit.end) {
      ITO_ASSIGN(const uint32_t count,
                 unit.executor->record_part(recorder, cursor_, unit.end, budget, must));
      must = must && count == 0;
      if (cursor_.call < unit.end) break;  // no room for more
    }
    next_round();
    recorder.barrier();
  }
  recorder.end_barrier();
  return {};
}

}  // namespace ito
