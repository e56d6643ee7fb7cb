#include "runtime/executor.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "runtime/kernel_statistics.h"

namespace ito {
namespace {

// Replays whose times are used to cut the submissions again; more would chase noise.
constexpr uint32_t kMeasurements = 3;

void check_plan(const Plan& plan) {
  for (const KernelCall& call : plan.calls) {
    CHECK(call.kernel < plan.kernels.size(), call.label + ": kernel index out of range");
    const size_t pushed = call.tables.empty() ? call.arguments.size() : call.tables.size();
    CHECK(pushed == plan.kernels[call.kernel].arguments && pushed <= kMaxKernelArguments &&
              call.arguments.size() <= 64,
          call.label + ": wrong number of arguments");
    for (uint32_t first : call.tables)
      CHECK(first < call.arguments.size(), call.label + ": a table beyond the arguments");
    for (const BufferRange& range : call.arguments) {
      uint64_t size = 0;
      if (range.space == BufferSpace::kArena) {
        size = plan.arena_size;
        CHECK(plan.arena_piece == 0 ||
                  range.offset % plan.arena_piece + range.size <= plan.arena_piece,
              call.label + ": an argument lies in two pieces of the arena");
      }
      if (range.space == BufferSpace::kConstant) size = plan.constants.size();
      if (range.space == BufferSpace::kExternal) {
        CHECK(range.buffer < plan.externals.size(), call.label + ": external out of range");
        size = plan.externals[range.buffer].size;
      }
      CHECK(range.offset <= size && range.size <= size - range.offset,
            call.label + ": an argument goes beyond its buffer");
      CHECK(range.offset % 4 == 0, call.label + ": an argument is not aligned to 4 bytes");
    }
  }
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// That `bytes` of the host match an external as a whole.
Status check_bytes(const External& external, size_t bytes) {
  if (bytes == external.size) return {};
  return invalid_argument("external '{}' ({} {}) holds {} bytes, but the host's copy has {}",
                          external.name, dtype_name(external.dtype), external.shape.to_string(),
                          external.size, bytes);
}

}  // namespace

Executor::Executor(vk::Device& device, Plan plan, ExecutorOptions options)
    : device_(device),
      plan_(std::move(plan)),
      options_(options),
      externals_(plan_.externals.size()),
      own_external_(plan_.externals.size(), false),
      in_flight_(std::max(1u, options.max_submits_in_flight), 0),
      uploads_(device, std::min(options.upload_ring_bytes, device.caps().max_allocation_bytes)),
      readbacks_(device) {}

Result<std::unique_ptr<Executor>> Executor::create(vk::Device& device, Plan plan,
                                                   ExecutorOptions options) {
  check_plan(plan);
  std::unique_ptr<Executor> self(new Executor(device, std::move(plan), options));
  ITO_TRY(self->make_pipelines());
  const Plan& p = self->plan_;
  ITO_TRY(self->make_arena());
  if (!p.constants.empty()) {
    const auto words = static_cast<int64_t>((p.constants.size() + 3) / 4);
    ITO_ASSIGN(self->constants_, self->allocate(DType::kU32, Shape{words}, p.constants.size(), 0));
    ITO_TRY(vk::upload_now(device, *self->constants_.buffer(), self->constants_.offset(),
                           std::as_bytes(std::span(p.constants))));
  }
  self->call_ms_ = guess_call_ms(p, device.caps());
  // On a CPU driver the first replay compiles the kernels: its time says nothing.
  self->replays_to_measure_ = device.caps().is_cpu ? 2 : 1;
  self->measurements_left_ = options.profile ? 0 : kMeasurements;
  self->find_prologue_memory();
  return self;
}

Executor::~Executor() { (void)wait(); }

Status Executor::make_arena() {
  constexpr uint32_t kNan = 0xffffffffu;
  uint64_t left = plan_.arena_size;
  if (plan_.arena_piece != 0)
    ITO_TRY(device_.memory().check_room(plan_.arena_size, vk::MemoryUse::kDevice));
  std::vector<DeviceTensor> pieces;
  do {
    const uint64_t size = plan_.arena_piece == 0 ? left : std::min(left, plan_.arena_piece);
    const auto words = static_cast<int64_t>((size + 3) / 4);
    ITO_ASSIGN(DeviceTensor piece,
               allocate(DType::kU32, Shape{words}, size, options_.canary ? kNan : 0));
    pieces.push_back(std::move(piece));
    left -= size;
  } while (left > 0);
  arena_ = std::move(pieces);
  return {};
}

Status Executor::give_back_memory() {
  ITO_TRY(wait());
  arena_.clear();
  prologue_versions_.reset();
  recorded_ = false;
  return {};
}

Status Executor::make_pipelines() {
  const DeviceCaps& caps = device_.caps();
  const auto& limits = device_.context().properties.limits;
  for (const KernelCall& call : plan_.calls)
    for (size_t axis = 0; axis < 3; ++axis)
      if (call.groups[axis] > limits.maxComputeWorkGroupCount[axis])
        return unsupported("'{}' needs {} workgroups along axis {}; '{}' allows {}", call.label,
                           call.groups[axis], axis, caps.name,
                           limits.maxComputeWorkGroupCount[axis]);
  ITO_ASSIGN(pipelines_, device_.pipelines().get(pipeline_requests(plan_)));
  device_.pipelines().save();
  return {};
}

Result<size_t> Executor::find(std::string_view name) const {
  const int index = plan_.find_external(name);
  if (index < 0) return not_found("the program '{}' has no external '{}'", plan_.name, name);
  return static_cast<size_t>(index);
}

Result<uint64_t> Executor::external_size(std::string_view name) const {
  ITO_ASSIGN(const size_t index, find(name));
  return plan_.externals[index].size;
}

Status Executor::ensure_external(size_t index) {
  if (externals_[index].valid()) return {};
  const External& external = plan_.externals[index];
  ITO_ASSIGN(externals_[index], allocate(external.dtype, external.shape, external.size, 0));
  own_external_[index] = true;
  recorded_ = false;
  if (prologue_reads_[index]) prologue_versions_.reset();
  return {};
}

Status Executor::bind(std::string_view name, DeviceTensor tensor) {
  ITO_ASSIGN(const size_t index, find(name));
  CHECK(tensor.valid(), "binding an empty tensor");
  const External& external = plan_.externals[index];
  if (tensor.dtype() != external.dtype || tensor.shape() != external.shape)
    return invalid_argument("external '{}' is {} {}; the tensor given is {} {}", name,
                            dtype_name(external.dtype), external.shape.to_string(),
                            dtype_name(tensor.dtype()), tensor.shape().to_string());
  if (tensor.size() < external.size)
    return invalid_argument("external '{}' needs {} bytes; the tensor given has {}", name,
                            external.size, tensor.size());
  ITO_TRY(wait());  // replays under way use the old memory
  externals_[index] = std::move(tensor);
  own_external_[index] = false;
  recorded_ = false;
  if (prologue_reads_[index]) prologue_versions_.reset();
  return {};
}

Result<DeviceTensor> Executor::tensor(std::string_view name) {
  ITO_ASSIGN(const size_t index, find(name));
  ITO_TRY(ensure_external(index));
  return externals_[index];
}

Status Executor::write(std::string_view name, std::span<const std::byte> data) {
  ITO_ASSIGN(const size_t index, find(name));
  ITO_TRY(check_bytes(plan_.externals[index], data.size()));
  ITO_TRY(ensure_external(index));
  return vk::upload_now(device_, *externals_[index].buffer(), externals_[index].offset(), data);
}

Status Executor::read(std::string_view name, std::span<std::byte> data) {
  ITO_ASSIGN(const size_t index, find(name));
  ITO_TRY(check_bytes(plan_.externals[index], data.size()));
  ITO_TRY(ensure_external(index));
  return vk::download_now(device_, *externals_[index].buffer(), externals_[index].offset(), data);
}

Status Executor::enqueue_write(std::string_view name, std::span<const std::byte> data) {
  ITO_ASSIGN(const size_t index, find(name));
  ITO_TRY(check_bytes(plan_.externals[index], data.size()));
  ITO_TRY(ensure_external(index));
  flush_before_prologue_ |= prologue_reads_[index];
  return uploads_.write(externals_[index].buffer(), externals_[index].offset(), data);
}

Result<vk::ReadTicket> Executor::enqueue_read(std::string_view name) {
  ITO_ASSIGN(const size_t index, find(name));
  ITO_TRY(ensure_external(index));
  return readbacks_.enqueue(externals_[index].buffer(), externals_[index].offset(),
                            plan_.externals[index].size);
}

Status Executor::reserve_reads(std::string_view name) {
  ITO_ASSIGN(const size_t index, find(name));
  ITO_TRY(ensure_external(index));
  // The copy behind the replay that was waited for may be under way too, and the one to come.
  return readbacks_.reserve(externals_[index].buffer(), externals_[index].offset(),
                            plan_.externals[index].size, options_.max_submits_in_flight + 2);
}

std::pair<const DeviceTensor*, uint64_t> Executor::place(const BufferRange& range) const {
  if (range.space == BufferSpace::kConstant) return {&constants_, range.offset};
  if (range.space == BufferSpace::kExternal) return {&externals_[range.buffer], range.offset};
  if (plan_.arena_piece == 0) return {&arena_.front(), range.offset};
  return {&arena_[range.offset / plan_.arena_piece], range.offset % plan_.arena_piece};
}

uint64_t Executor::address_of(const BufferRange& range) const {
  const auto [memory, offset] = place(range);
  return memory->address() + offset;
}

void Executor::record_dispatch(vk::CommandRecorder& recorder, const Dispatch& dispatch) {
  const KernelCall& call = plan_.calls[dispatch.call];
  std::array<uint64_t, kMaxKernelArguments> addresses;
  size_t pushed = 0;
  if (call.tables.empty()) {
    for (const BufferRange& range : call.arguments) addresses[pushed++] = address_of(range);
  } else {
    const uint64_t first = tables_.address() + table_offset_[dispatch.call];
    for (uint32_t argument : call.tables) addresses[pushed++] = first + argument * sizeof(uint64_t);
  }
  recorder.bind(*pipelines_[call.kernel]);
  recorder.push_addresses(std::span(addresses).first(pushed));
  recorder.dispatch(dispatch.base, dispatch.groups);
}

// The addresses of the arguments that are not pushed, all calls' one after the other.
Status Executor::write_tables() {
  std::vector<uint64_t> addresses;
  table_offset_.assign(plan_.calls.size(), 0);
  for (size_t c = 0; c < plan_.calls.size(); ++c) {
    if (plan_.calls[c].tables.empty()) continue;
    table_offset_[c] = addresses.size() * sizeof(uint64_t);
    for (const BufferRange& range : plan_.calls[c].arguments)
      addresses.push_back(address_of(range));
  }
  if (addresses.empty()) return {};
  const auto bytes = std::as_bytes(std::span(addresses));
  if (!tables_.valid()) {
    const auto words = static_cast<int64_t>(bytes.size() / 4);
    ITO_ASSIGN(tables_, allocate(DType::kU32, Shape{words}, bytes.size(), 0));
  }
  return vk::upload_now(device_, *tables_.buffer(), tables_.offset(), bytes);
}

Status Executor::record_slices() {
  ITO_TRY(wait());
  ITO_TRY(write_tables());
  recorded_ = true;
  if (!device_.queue().can_submit()) return {};  // only record_into() and record_part() are left
  recorded_ = false;
  const MarksAt profiled = options_.profile ? MarksAt::kDispatches : MarksAt::kNone;
  ITO_TRY(record_slices(prologue_, 0, plan_.prologue, profiled));
  ITO_TRY(record_slices(replay_, plan_.prologue, plan_.calls.size(),
                        !options_.profile && measurements_left_ > 0 ? MarksAt::kSlices : profiled));
  recorded_ = true;
  return {};
}

// Cuts the calls by the estimates at hand and records each slice.
Status Executor::record_slices(Recording& recording, size_t first_call, size_t end_call,
                               MarksAt marks_at) {
  std::vector<Slice> slices =
      slice_calls(plan_, call_ms_, options_.max_submit_ms, first_call, end_call);
  uint32_t marks = 0;
  for (const Slice& slice : slices)
    marks +=
        marks_at == MarksAt::kDispatches ? static_cast<uint32_t>(slice.dispatches.size()) + 1 : 2;
  recording.times.reset();
  if (marks_at != MarksAt::kNone && marks > 0) {
    auto times = vk::Timestamps::create(device_, marks);
    if (times.ok())
      recording.times = std::move(times).value();
    else if (options_.profile)
      return times.error();
    else
      measurements_left_ = 0;  // no clock: the guesses stand
  }
  const vk::Timestamps* times = recording.times.get();
  recording.slices.resize(slices.size());
  uint32_t mark = 0;
  for (size_t s = 0; s < slices.size(); ++s) {
    Recorded& recorded = recording.slices[s];
    recorded.slice = std::move(slices[s]);
    if (!recorded.commands.valid()) {
      ITO_ASSIGN(recorded.commands, vk::CommandBuffer::create(device_));
    }
    ITO_ASSIGN(vk::CommandRecorder recorder, recorded.commands.begin());
    if (times != nullptr && s == 0) recorder.reset(*times);
    recorder.begin_barrier();
    if (times != nullptr) recorder.timestamp(*times, mark++);
    bool first = true;
    for (const Dispatch& dispatch : recorded.slice.dispatches) {
      const bool marked = times != nullptr && marks_at == MarksAt::kDispatches;
      if (!first && (dispatch.barrier_before || marked)) recorder.barrier();
      first = false;
      record_dispatch(recorder, dispatch);
      if (marked) recorder.timestamp(*times, mark++);
    }
    if (times != nullptr && marks_at == MarksAt::kSlices) recorder.timestamp(*times, mark++);
    recorder.end_barrier();
    ITO_TRY(recorded.commands.end());
  }
  return {};
}

Status Executor::prepare() {
  if (arena_.empty()) ITO_TRY(make_arena());
  for (size_t i = 0; i < externals_.size(); ++i) ITO_TRY(ensure_external(i));
  if (!recorded_) ITO_TRY(record_slices());
  return {};
}

// Submits with the pending uploads ahead, keeping the bounded number of submissions in flight.
Status Executor::submit_slice(const vk::CommandBuffer& commands) {
  ITO_TRY(device_.queue().wait(in_flight_[in_flight_at_], vk::WaitReason::kThrottle));
  ITO_ASSIGN(const vk::CommandBuffer* uploads, uploads_.take());
  ITO_ASSIGN(const uint64_t value, device_.queue().submit({uploads, &commands}));
  uploads_.submitted(value);
  in_flight_[in_flight_at_] = value;
  in_flight_at_ = (in_flight_at_ + 1) % in_flight_.size();
  return {};
}

Status Executor::replay_once() {
  ITO_TRY(run_prologue_if_due());
  Status status;
  for (const Recorded& recorded : replay_.slices)
    if (status.ok()) status = submit_slice(recorded.commands);
  tell_of_writes();
  ITO_TRY(status);
  if (options_.profile) return collect_profile();
  if (measurements_left_ > 0 && --replays_to_measure_ == 0) return measure();
  return {};
}

// Learns from the replay just submitted, and cuts the submissions again where they were far off.
Status Executor::measure() {
  ITO_TRY(wait());
  ITO_ASSIGN(const std::vector<double> marks, replay_.times->read());
  std::vector<Slice> slices;
  std::vector<double> measured_ms;
  bool too_long = false;
  for (size_t s = 0; s < replay_.slices.size(); ++s) {
    slices.push_back(replay_.slices[s].slice);
    measured_ms.push_back((marks[2 * s + 1] - marks[2 * s]) * 1e-6);
    too_long = too_long || measured_ms.back() > 1.5 * options_.max_submit_ms;
  }
  learn_call_ms(slices, measured_ms, plan_, call_ms_);
  const size_t wanted = slice_calls(plan_, call_ms_, options_.max_submit_ms, plan_.prologue).size();
  --measurements_left_;
  replays_to_measure_ = 1;
  if (too_long || wanted * 2 <= replay_.slices.size()) {
    replay_.slices.clear();
    return record_slices();
  }
  measurements_left_ = 0;
  return {};
}

Status Executor::replay_and_wait(const Recording& recording) {
  Status status;
  for (const Recorded& recorded : recording.slices)
    if (status.ok()) status = submit_slice(recorded.commands);
  tell_of_writes();
  ITO_TRY(wait());  // also where one failed: the others use what the caller holds
  return status;
}

Status Executor::measure_calls(uint32_t runs) {
  ITO_TRY(prepare());
  const size_t count = plan_.calls.size();
  Recording apart, together;
  ITO_TRY(record_slices(apart, 0, count, MarksAt::kDispatches));
  ITO_TRY(record_slices(together, 0, count, MarksAt::kSlices));
  std::vector<std::vector<double>> call_times(count);
  std::vector<double> sums;
  for (uint32_t run = 0; run < runs; ++run) {
    ITO_TRY(replay_and_wait(apart));
    ITO_TRY(replay_and_wait(together));
    if (apart.times == nullptr || together.times == nullptr || (run == 0 && runs > 1)) continue;
    std::vector<ProfileSpan> spans;
    ITO_TRY(add_spans(apart, spans));
    std::vector<double> ms(count, 0.0);
    for (const ProfileSpan& span : spans) ms[span.call] += span.duration_us * 1e-3;
    for (size_t i = 0; i < count; ++i) call_times[i].push_back(ms[i]);
    ITO_ASSIGN(const std::vector<double> marks, together.times->read());
    double sum = 0;
    for (size_t s = 0; s < together.slices.size(); ++s)
      sum += (marks[2 * s + 1] - marks[2 * s]) * 1e-6;
    sums.push_back(sum);
  }
  if (sums.empty() || count == 0) return {};
  // What each takes by itself, without what its mark costs, which together they do not have.
  std::vector<double> learned(count);
  for (size_t i = 0; i < count; ++i) learned[i] = median(call_times[i]);
  const double whole = median(sums);
  const double apart_sum = std::accumulate(learned.begin(), learned.end(), 0.0);
  const double of_mark = std::max(0.0, apart_sum - whole) / static_cast<double>(count);
  for (double& ms : learned) ms = std::max(ms - of_mark, ms / 10);
  const double left = std::accumulate(learned.begin(), learned.end(), 0.0);
  if (left <= 0 || whole <= 0) return {};
  for (size_t i = 0; i < count; ++i) call_ms_[i] = learned[i] * whole / left;
  return {};
}

// What its calls took, from the first of `spans` on.
Status Executor::add_spans(const Recording& recording, std::vector<ProfileSpan>& spans) const {
  if (recording.times == nullptr) return {};
  ITO_ASSIGN(const std::vector<double> marks, recording.times->read());
  const double behind = spans.empty() ? 0 : spans.back().start_us + spans.back().duration_us;
  size_t mark = 0;
  for (const Recorded& recorded : recording.slices) {
    for (const Dispatch& dispatch : recorded.slice.dispatches) {
      spans.push_back({dispatch.call, behind + (marks[mark] - marks[0]) * 1e-3,
                       (marks[mark + 1] - marks[mark]) * 1e-3});
      ++mark;
    }
    ++mark;
  }
  return {};
}

Status Executor::collect_profile() {
  ITO_TRY(wait());
  std::vector<ProfileSpan> spans;
  if (prologue_ran_) ITO_TRY(add_spans(prologue_, spans));
  ITO_TRY(add_spans(replay_, spans));
  profile_.add_replay(std::move(spans), plan_.calls.size());
  return {};
}

Status Executor::run(uint32_t replays) {
  ITO_TRY(prepare());
  for (uint32_t i = 0; i < replays; ++i) ITO_TRY(replay_once());
  if (options_.canary) return check_canaries();
  return {};
}

Status Executor::wait() {
  return device_.queue().wait(*std::max_element(in_flight_.begin(), in_flight_.end()),
                              vk::WaitReason::kResult);
}

Status Executor::record_into(vk::CommandRecorder& recorder, size_t first, size_t count) {
  if (!recorded_) return not_prepared();
  const size_t end =
      first + std::min(count, plan_.calls.size() - std::min(first, plan_.calls.size()));
  record_calls(recorder, first, end);
  note_recorded(first);
  return {};
}

Result<uint32_t> Executor::record_part(vk::CommandRecorder& recorder, CallCursor& cursor,
                                       size_t end, SliceBudget& budget, bool must) {
  if (!recorded_) return not_prepared();
  const size_t first = cursor.call;
  uint32_t count = 0;
  while (const std::optional<Dispatch> dispatch =
             next_dispatch(plan_, call_ms_, end, cursor, budget, must && count == 0)) {
    if (dispatch->barrier_before) recorder.barrier();
    record_dispatch(recorder, *dispatch);
    ++count;
  }
  if (count > 0) note_recorded(first);
  return count;
}

Error Executor::not_prepared() const {
  return invalid_argument("the program '{}' must be prepared before it is recorded", plan_.name);
}

// When a caller's commands run, and how often, nobody says.
void Executor::note_recorded(size_t first) {
  prologue_unseen_ |= first < plan_.prologue;
  for (size_t i = 0; i < externals_.size(); ++i)
    if (written_[i]) externals_[i].buffer()->changes_unseen();
}

void Executor::record_calls(vk::CommandRecorder& recorder, size_t first, size_t end) {
  recorder.begin_barrier();
  for (size_t i = first; i < end; ++i) {
    if (i != first && plan_.calls[i].barrier_before) recorder.barrier();
    record_dispatch(recorder, {static_cast<uint32_t>(i), {0, 0, 0}, plan_.calls[i].groups, false});
  }
  recorder.end_barrier();
}

}  // namespace ito
