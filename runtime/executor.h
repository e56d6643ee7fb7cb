// Executor: makes a Plan runnable on a device. Pipelines, arena and constants are made once; the
// calls are recorded once and replayed as often as wanted, with no host work but the submission.
// Those of the plan's prologue run before the first replay, and before each one that finds memory
// changed which they read: written, bound, or written by another executor that shares it.
// One executor is used by one thread at a time; several may share a device and tensors.
// Not for compiling graphs (graph/compile.h) and not for choosing a device (runtime/vk/device.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/plan.h"
#include "graph/port.h"
#include "runtime/device_tensor.h"
#include "runtime/profile.h"
#include "runtime/slices.h"
#include "runtime/vk/command_buffer.h"
#include "runtime/vk/device.h"
#include "runtime/vk/staging.h"

namespace ito {

struct ExecutorOptions {
  double max_submit_ms = 100;                // a submission is cut to about this time (measured)
  uint32_t max_submits_in_flight = 8;        // the host is never further ahead
  uint64_t upload_ring_bytes = 16ull << 20;  // for enqueue_write; allocated when first used
  bool profile = false;  // time every call: each replay is waited for and calls do not overlap
  bool canary = false;   // guard bytes around arena, constants and externals, checked after each
                         // run; the arena starts as NaN, so that reading before writing shows
};

class Executor {
 public:
  // Compiles the plan's kernels and allocates arena and constants. Errors: a kernel that does not
  // compile (named, with the GLSL line), a feature the device lacks, out of memory.
  static Result<std::unique_ptr<Executor>> create(vk::Device& device, Plan plan,
                                                  ExecutorOptions options = {});
  // Waits for all its work.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const Plan& plan() const { return plan_; }
  vk::Device& device() { return device_; }

  // Gives the external `name` memory to work on; it must have the external's dtype and shape.
  // Externals never bound get zero-filled memory of their own. Binding after the first run makes
  // the next one record anew. Errors: no such external, other dtype or shape.
  Status bind(std::string_view name, DeviceTensor tensor);
  // The memory of an external, allocated now if it had none.
  Result<DeviceTensor> tensor(std::string_view name);

  // Host access that waits for all work Ito submitted to the device. Errors: no such external, a
  // wrong number of bytes (External::size), device lost.
  Status write(std::string_view name, std::span<const std::byte> data);
  Status read(std::string_view name, std::span<std::byte> data);
  template <typename T>
  Status write(std::string_view name, const std::vector<T>& values) {
    return write(name, bytes_of(values));
  }
  template <typename T>
  Result<std::vector<T>> read(std::string_view name) {
    ITO_ASSIGN(const uint64_t size, external_size(name));
    std::vector<T> values(size / sizeof(T));
    ITO_TRY(read(name, writable_bytes_of(values)));
    return values;
  }

  // Takes a copy of the bytes; the device sees them from the next run() on, after all replays
  // before. Waits only while the upload ring is full.
  Status enqueue_write(std::string_view name, std::span<const std::byte> data);
  template <typename T>
  Status enqueue_write(std::string_view name, const std::vector<T>& values) {
    return enqueue_write(name, bytes_of(values));
  }
  // Starts a copy of the external as the replays so far leave it. Does not wait.
  Result<vk::ReadTicket> enqueue_read(std::string_view name);
  // Makes ready for a read of the external after every replay, each dropped when it is there: then
  // no enqueue_read of it allocates, however far the host is ahead of the device.
  Status reserve_reads(std::string_view name);

  // The same by ports, whose numbers are of the port's type.
  template <typename T, typename Name>
  bool has(const Port<T, Name>& port) const {
    return plan_.find_external(port.name) >= 0;
  }
  template <typename T, typename Name>
  Status bind(const Port<T, Name>& port, DeviceTensor tensor) {
    return bind(std::string_view(port.name), std::move(tensor));
  }
  template <typename T, typename Name>
  Result<DeviceTensor> tensor(const Port<T, Name>& port) {
    return tensor(std::string_view(port.name));
  }
  template <typename T, typename Name>
  Status write(const Port<T, Name>& port, const std::vector<T>& values) {
    return write(port.name, bytes_of(values));
  }
  template <typename T, typename Name>
  Result<std::vector<T>> read(const Port<T, Name>& port) {
    return read<T>(std::string_view(port.name));
  }
  template <typename T, typename Name>
  Status enqueue_write(const Port<T, Name>& port, const std::vector<T>& values) {
    return enqueue_write(port.name, bytes_of(values));
  }
  template <typename T, typename Name>
  Result<vk::ReadTicket> enqueue_read(const Port<T, Name>& port) {
    return enqueue_read(std::string_view(port.name));
  }
  template <typename T, typename Name>
  Status reserve_reads(const Port<T, Name>& port) {
    return reserve_reads(std::string_view(port.name));
  }
  // Gives each of these ports that the plan has the memory that it has in `other`.
  template <typename... Ports>
  Status share(Executor& other, const Ports&... ports) {
    Status status;
    const auto one = [&](const auto& port) -> Status {
      if (!has(port)) return {};
      ITO_ASSIGN(DeviceTensor memory, other.tensor(port));
      return bind(port, std::move(memory));
    };
    static_cast<void>(((status = one(ports)).ok() && ...));
    return status;
  }

  // Allocates what was not bound and records; run() does it where needed.
  Status prepare();
  // Waits for all replays and frees the memory that calls work in between externals; prepare()
  // takes it again. A caller's commands with calls of this must have finished.
  Status give_back_memory();
  // Replays the plan. Returns when the last replay is submitted, not done; waits only to keep
  // max_submits_in_flight, and in the first replays to measure them. Errors of the device are
  // reported by this or a later call. With `canary`, checks the guards afterwards.
  Status run(uint32_t replays = 1);
  // Waits for all replays.
  Status wait();
  // Runs all calls so often one by one, the prologue's too, and as often together, and learns what
  // each takes, for the pieces of record_part(): medians, without the first run of several. Waits.
  // Changes what the plan changes. Where the queue has no clock, all is run and the guesses stand.
  Status measure_calls(uint32_t runs);

  // Records calls [first, first + count) into a caller's command buffer, with barriers against all
  // that comes before and after on the queue. prepare() must have been called; then this allocates
  // nothing, waits for nothing and touches only compute state. The executor and the bound tensors
  // must live, and no binding may change, until the caller's commands have finished. The prologue
  // is calls [0, plan().prologue): who records only later ones executes these first, whenever
  // parameters have changed.
  Status record_into(vk::CommandRecorder& recorder, size_t first = 0, size_t count = SIZE_MAX);

  // The same piece by piece: dispatches from `cursor` on, before call `end`, as far as `budget` has
  // room by measured times (those of run(); guesses before the first); with `must` at least a part
  // of one. Gives how many. Barriers between them only: who records puts begin_barrier() before
  // and end_barrier() behind what goes into one command buffer.
  Result<uint32_t> record_part(vk::CommandRecorder& recorder, CallCursor& cursor, size_t end,
                               SliceBudget& budget, bool must);

  // Number of submissions one replay takes, without the prologue.
  size_t slice_count() const { return replay_.slices.size(); }
  const Profile& profile() const { return profile_; }

  // For debugging (runtime/watchdog.h): runs one call and waits; reads any range of the plan.
  Status run_call(size_t call);
  Status read_range(const BufferRange& range, std::span<std::byte> data);
  // Errors: kCorrupt, naming the memory whose guard bytes were overwritten. Waits.
  Status check_canaries();

 private:
  struct Recorded {
    vk::CommandBuffer commands;
    Slice slice;
  };
  // Where time marks are: none; one before and one after each slice; one before each slice and one
  // after each dispatch, of which then no two overlap.
  enum class MarksAt : uint8_t { kNone, kSlices, kDispatches };
  // Some of the plan's calls.
  struct Recording {
    std::vector<Recorded> slices;
    std::unique_ptr<vk::Timestamps> times;
  };

  Executor(vk::Device& device, Plan plan, ExecutorOptions options);
  Status make_pipelines();
  Status make_arena();
  Result<DeviceTensor> allocate(DType dtype, Shape shape, uint64_t size, uint32_t fill_word);
  Result<size_t> find(std::string_view name) const;
  Result<uint64_t> external_size(std::string_view name) const;
  Status ensure_external(size_t index);
  // The memory of a range that is not empty, and the first byte in it.
  std::pair<const DeviceTensor*, uint64_t> place(const BufferRange& range) const;
  uint64_t address_of(const BufferRange& range) const;
  Status write_tables();
  void record_dispatch(vk::CommandRecorder& recorder, const Dispatch& dispatch);
  Status record_slices();
  Status record_slices(Recording& recording, size_t first, size_t end, MarksAt marks_at);
  void record_calls(vk::CommandRecorder& recorder, size_t first, size_t end);
  Error not_prepared() const;
  void note_recorded(size_t first);
  Status submit_slice(const vk::CommandBuffer& commands);
  Status replay_once();
  Status replay_and_wait(const Recording& recording);
  Status measure();
  Status add_spans(const Recording& recording, std::vector<ProfileSpan>& spans) const;
  Status collect_profile();
  // The prologue (executor_prologue.cpp).
  void find_prologue_memory();
  Status run_prologue_if_due();
  void tell_of_writes() const;

  vk::Device& device_;
  const Plan plan_;
  const ExecutorOptions options_;
  std::vector<std::shared_ptr<const vk::Pipeline>> pipelines_;  // one per kernel
  std::vector<DeviceTensor> arena_;  // of Plan::arena_piece bytes each; the last may be smaller
  DeviceTensor constants_;
  DeviceTensor tables_;                  // addresses of arguments that are not pushed
  std::vector<uint64_t> table_offset_;   // by call: its own, in bytes
  std::vector<DeviceTensor> externals_;  // one per external; empty until bound or needed
  std::vector<bool> own_external_;
  std::vector<double> call_ms_;  // estimates
  Recording prologue_, replay_;
  bool recorded_ = false;
  // By external: whether the prologue reads it, and whether the plan writes it.
  std::vector<bool> prologue_reads_, written_;
  // What the prologue's results in the arena were made of, by external; nothing: they are not
  // there.
  std::optional<std::vector<uint64_t>> prologue_versions_;
  bool prologue_ran_ = false;     // before the newest replay
  bool prologue_unseen_ = false;  // a caller's commands may run it, or parts of it, at any time
  bool flush_before_prologue_ = false;  // uploads that wait are of what it reads
  uint32_t replays_to_measure_ = 0;     // counts down to the replay that is measured
  uint32_t measurements_left_ = 0;
  std::vector<uint64_t> in_flight_;  // ring of submission values
  size_t in_flight_at_ = 0;
  Profile profile_;
  vk::UploadRing uploads_;
  vk::ReadbackPool readbacks_;
};

}  // namespace ito
