// SamplingJob: the images of a batch, recorded piece by piece into command buffers of anybody's: a
// renderer's own, frame after frame. Once made it waits for nothing, allocates nothing and reads
// nothing; the images are those of SamplingSession for the same requests, bit by bit. Not for
// pictures to begin at, contexts, latents, samplers that decide their steps while they run, nor
// random numbers of the host's (api/sampling.h has all these).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "api/device_weights.h"
#include "api/pixel_program.h"
#include "api/sampling.h"
#include "api/sampling_loop.h"
#include "runtime/executor.h"

namespace ito {

class SamplingJob {
 public:
  // weights: the network's, cut for this device (Network::for_device). `pixels`: in which form the
  // images are given besides as numbers. Errors: as of SamplingSession; kUnsupported what is not
  // for jobs (above); more than kMostImages in a batch.
  static constexpr int64_t kMostImages = 16384;
  static Result<std::unique_ptr<SamplingJob>> create(vk::Device& device, const Network& network,
                                                     const SchedulerConfig& scheduler,
                                                     const DeviceWeights& weights,
                                                     const SampleOptions& options,
                                                     std::optional<PixelFormat> pixels);

  // Runs a few steps through the device's own queue, so that pieces are cut by measured times, not
  // by guesses, and all kernels are compiled. Waits. Before the first begin(). Nothing where the
  // device has no queue: guesses stand then.
  Status warm_up();

  // Starts over with these images, batch() of them; forgets what was not recorded. Commands that
  // were recorded must have been submitted or dropped before others are. Errors: another number of
  // requests; a label outside the model's classes.
  Status begin(std::span<const SampleRequest> requests);

  // Records on, as much as fits, at least a part of one dispatch. The command buffer is in the
  // recording state, outside a render pass, and of a queue that can compute; command buffers must
  // be executed in the order in which they were recorded, each once. Afterwards done() says whether
  // these were the last, and `budget` what it took. Errors: before begin().
  Status record(vk::CommandRecorder& recorder, SliceBudget& budget);
  bool begun() const { return begun_; }
  // Where the recording stands, and back to it where what was recorded since will not be executed.
  struct Place {
    bool started, prologue_recorded;
    size_t at;
    int round;
    CallCursor cursor;
  };
  Place place() const { return {started_, prologue_recorded_, at_, round_, cursor_}; }
  void return_to(const Place& place);
  bool done() const { return at_ == units_.size(); }
  // Steps whose commands are recorded as a whole; 0 to steps().
  int step() const;
  int steps() const { return loop_.steps(); }
  int64_t batch() const { return loop_.shape[0]; }
  const Shape& shape() const { return loop_.shape; }  // [batch,h,w,c]
  int classes() const { return loop_.classes; }

  // Where the images lie once the commands have been executed: f32 [batch,h,w,c] in about [-1, 1],
  // and the pixels [batch,h,w], where they were asked for (else an empty tensor).
  const DeviceTensor& images() const { return images_; }
  const DeviceTensor& pixels() const { return packed_; }

  // Whether every number of the images is finite, once their commands have been executed. Waits.
  // Error kDiverged naming the step.
  Status check();
  // The same of the bytes of divergence(), read by somebody else.
  Status check(std::span<const std::byte> bytes) const;
  const DeviceTensor& divergence() const { return divergence_; }

 private:
  // Calls [first, end) of an executor, `times` over.
  struct Unit {
    Executor* executor;
    size_t first, end;
    int times = 1;
    bool once = false;  // what it makes lasts until the job's end
  };
  SamplingJob() = default;
  void record_start(vk::CommandRecorder& recorder);
  void next_unit();

  SamplingLoop loop_;
  std::unique_ptr<Executor> start_, step_, pack_;
  DeviceTensor images_, packed_, seeds_, labels_, divergence_;
  std::vector<DeviceTensor> zeroed_;  // states that a run starts with at zero
  std::vector<Unit> units_;
  std::vector<uint32_t> seed_values_, label_values_;
  bool begun_ = false, started_ = false, prologue_recorded_ = false;
  size_t at_ = 0;  // unit
  int round_ = 0;  // of its times
  CallCursor cursor_;
};

}  // namespace ito
