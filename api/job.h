// Job: programs that are recorded piece by piece into command buffers of anybody's: a renderer's
// own, frame after frame. Once made it waits for nothing, allocates no memory of the device and
// reads nothing. What programs, and in which order, its kinds say (api/sampling_job.h,
// api/forward_job.h, api/training_job.h). Not for who submits the commands (embed/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/pixel_program.h"
#include "api/planned_programs.h"
#include "runtime/executor.h"
#include "runtime/host_mirror.h"

namespace ito {

// What a job is given besides seeds and classes.
enum class JobInputKind : uint8_t {
  kInitial,    // pictures to begin at
  kKnown,      // a picture of which parts are known
  kMask,       // where it is known
  kSample,     // what a network sees
  kTimesteps,  // and is told: the time,
  kClasses,    // the class,
  kContext,    // the states that it attends to,
  kGuidance,   // the embedded guidance scale,
  kLatent,     // the latent vector
  kPictures,   // a batch to train on
  kLabels,     // and the class of each
};

struct JobInput {
  JobInputKind kind;
  Shape shape;                        // [rows, ...] of its numbers
  std::optional<PixelFormat> format;  // of the pictures as they are given; nothing: numbers
  DeviceTensor memory;  // u32 [rows, words], or the numbers themselves, a row every row_bytes()
  uint64_t given_bytes = 0;  // of a row as it is given, without what fills its last word up
  int64_t classes = 0;       // words: each below this; 0: no words

  int64_t rows() const { return shape[0]; }
  uint64_t row_bytes() const { return memory.size() / static_cast<uint64_t>(rows()); }

  // What was given from the host's memory, as long as it may still have to be recorded.
  enum class Row : uint8_t { kElsewhere, kFresh, kRecorded };
  std::vector<std::byte> staged = {};  // memory.size()
  std::vector<Row> staging = {};       // by row
};

class Job {
 public:
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Records on, as much as fits, at least a part of one dispatch. The command buffer is in the
  // recording state, outside a render pass, and of a queue that can compute; command buffers must
  // be executed in the order in which they were recorded, each once. Afterwards done() says whether
  // these were the last, and `budget` what it took. Errors: before a beginning, which the kinds
  // have.
  Status record(vk::CommandRecorder& recorder, SliceBudget& budget);
  bool begun() const { return begun_; }
  // Where the recording stands, and back to it where what was recorded since will not be executed.
  struct Place {
    bool started, kept;
    size_t at;
    int64_t round;
    CallCursor cursor;
  };
  Place place() const { return {started_, kept_, at_, round_, cursor_}; }
  void return_to(const Place& place);
  // Behind the last piece: brings what is read to memory that the host sees, on a device without a
  // queue of Ito's, where it could not be read otherwise; else records nothing.
  void record_results(vk::CommandRecorder& recorder) const;
  // Whether all is recorded that was begun.
  bool done() const { return begun_ && at_ == units_.size(); }
  // Forgets what was begun and is not recorded. Error kUnsupported where what is recorded already
  // would leave the job's own state half changed.
  virtual Status cancel();

  // Gives back the memory that the programs work in; the next beginning takes it again, and waits
  // once, or leaves its first contents to vk::PendingUploads where the device has no queue. All
  // that is recorded must have been executed, or never be. Error kInvalidArgument: something is
  // recorded in part.
  Status trim();

  // Steps whose commands are recorded as a whole, of how many; 0 of 0: without an end.
  virtual int64_t step() const = 0;
  virtual int64_t steps() const = 0;

  // The result's, [n, ...]; where it lies once the commands have been executed, and its pixels,
  // where they were asked for (else an empty tensor).
  virtual const Shape& shape() const = 0;
  const DeviceTensor& result() const { return result_; }
  const DeviceTensor& pixels() const { return pixels_; }
  // The bytes of these (all of one) and of what check() looks at, once the commands have been
  // executed. Waits where the device has a queue.
  Status read(const DeviceTensor& tensor, std::span<std::byte> bytes) const {
    return results_.read(tensor, bytes);
  }
  // Whether every number of the result is finite, once the commands have been executed. Waits.
  // Error kDiverged.
  virtual Status check() = 0;

  // Null: it takes none of the kind.
  JobInput* input(JobInputKind kind);
  // Takes a copy of row `row`, which the next beginning brings to the device. Errors: no such row,
  // not given_bytes, a class that does not exist.
  static Status write(JobInput& input, int64_t row, std::span<const std::byte> bytes);
  // Commands of somebody else's bring the row to `memory` (at row row_bytes()), so what was written
  // before is not.
  static void written_elsewhere(JobInput& input, int64_t row);

 protected:
  // Calls [first, end) of an executor, `times` over.
  struct Unit {
    Executor* executor;
    size_t first, end;
    int64_t times = 1;
    bool keeps = false;  // what it makes lasts as long as the program's parameters
  };
  Job() = default;

  // Makes a program of the job's ready and runs it a few times through the device's own queue, so
  // that pieces are cut by measured times, not by guesses. Waits. Where the device has no queue
  // nothing is run, and the guesses stand.
  Status warm_up(Executor& executor);

  // Units of all of a program: what its parameters alone decide, then the rest `times` over. Gives
  // the place of the latter.
  size_t add_units(Executor& executor, int64_t times = 1);
  // An input whose numbers are the external `port` of a program. Pictures of a format, and those
  // that are smaller than the port's, are made into these by a program of their own.
  struct PlannedInput {
    JobInputKind kind;
    std::string port;
    Shape shape;  // of the pictures
    std::optional<PixelFormat> format;
    std::optional<size_t> converter;  // the place of that program
  };
  // Of the program at `reader`. `given`: the pictures' shape, where it is not the port's. Errors: a
  // format that does not show such pictures.
  static Result<PlannedInput> planned_input(PlannedPrograms& programs, JobInputKind kind,
                                            size_t reader, std::string_view port,
                                            std::optional<PixelFormat> format = {},
                                            const Shape* given = nullptr);
  // Adds it, and the units of its own program. `reader`: the executor of that program.
  Status add_input(PlannedPrograms& programs, const PlannedInput& planned, Executor& reader);
  // The same of class numbers, u32 [n].
  Status add_classes(JobInputKind kind, Executor& executor, std::string_view port, int64_t classes);

  // Has the host read this tensor of the job's.
  Status add_result(vk::Device& device, const DeviceTensor& tensor);
  const HostMirror& results() const { return results_; }

  // From the first unit on. Errors: of the device, after trim().
  Status begin();
  // Whether something of what was begun is recorded and something is not.
  bool under_way() const { return started_ && !done(); }
  // What is recorded before the first unit.
  virtual void record_start(vk::CommandRecorder&) {}
  std::vector<std::unique_ptr<Executor>> converters_;
  std::vector<Unit> units_;
  std::vector<JobInput> inputs_;
  DeviceTensor result_, pixels_;
  size_t at_ = 0;      // unit
  int64_t round_ = 0;  // of its times
  bool kept_ = false;  // what units keep is recorded and good

 private:
  void next_round();
  void forget();
  void stage_again();
  void record_inputs(vk::CommandRecorder& recorder);

  std::vector<Executor*> warm_;  // all programs
  HostMirror results_;           // of those that cannot be read otherwise
  bool begun_ = false, started_ = false, trimmed_ = false;
  CallCursor cursor_;
};

// Writes words that travel inside the command buffer.
void update_words(vk::CommandRecorder& recorder, const DeviceTensor& tensor,
                  std::span<const std::byte> bytes, uint64_t offset = 0);

}  // namespace ito
