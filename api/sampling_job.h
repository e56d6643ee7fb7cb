// SamplingJob: the images of a batch as a Job (api/job.h). The images are those of SamplingSession
// for the same requests and pictures, bit by bit. Not for contexts, latents, samplers that decide
// their steps while they run or make latents of pictures, nor random numbers of the host's
// (api/sampling.h has all these).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "api/device_weights.h"
#include "api/job.h"
#include "api/sampling.h"
#include "api/sampling_loop.h"

namespace ito {

// What a job is given and gives besides SampleOptions, whose `initial` and `inpainting` it wants
// without pictures, and whose `control` not at all.
struct SamplingJobOptions {
  std::optional<PixelFormat> pixels;    // in which form the images are given besides as numbers
  bool preview = false;                 // whether record_preview may be called
  bool inpaint = false;                 // takes kKnown and kMask
  std::optional<PixelFormat> pictures;  // of kInitial and kKnown; nothing: numbers in [-1, 1]
  std::optional<PixelFormat> mask;      // of kMask; nothing: 1 is known, 0 to be filled
  bool weights_change = false;          // others may write them between runs
  KernelOrigin origin = {};             // for errors
};

class SamplingJob : public Job {
 public:
  // weights: the network's, cut for this device (Network::for_device). Compiles and, where the
  // device has a queue, runs a few steps to measure them; waits. Inputs: kInitial [batch,h,w,c]
  // where SampleOptions::initial is there; kKnown [1,h,w,c] and kMask [1,h,w,1] of an inpainting,
  // for all images. Errors: as of SamplingSession; kUnsupported what is not for jobs (above); more
  // than kMostImages in a batch.
  static constexpr int64_t kMostImages = 16384;
  static Result<std::unique_ptr<SamplingJob>> create(vk::Device& device, const Network& network,
                                                     const SchedulerConfig& scheduler,
                                                     const DeviceWeights& weights,
                                                     const SampleOptions& options,
                                                     const SamplingJobOptions& job_options);
  // The plans of such a job on a device of these capabilities. Errors: the same.
  static Result<std::vector<Plan>> plans(const DeviceCaps& caps, const Network& network,
                                         const SchedulerConfig& scheduler,
                                         const SampleOptions& options,
                                         const SamplingJobOptions& job_options);

  // Starts over with these images, batch() of them; forgets what was not recorded. Commands that
  // were recorded must have been submitted or dropped before others are. Errors: another number of
  // requests; a label outside the model's classes.
  Status begin(std::span<const SampleRequest> requests);

  // Makes the pixels of the present estimate of x_0, or of x where the method has none. Errors
  // kUnsupported: a job without previews or pixels.
  Status record_preview(vk::CommandRecorder& recorder);
  const DeviceTensor& preview() const { return preview_pixels_; }

  int64_t step() const override;
  int64_t steps() const override { return loop_.steps(); }
  int64_t batch() const { return loop_.shape[0]; }
  const Shape& shape() const override { return loop_.shape; }  // [batch,h,w,c]
  int classes() const { return loop_.classes; }
  // Names the step of the first number that is not finite.
  Status check() override;

 private:
  // What it consists of, before there are executors.
  struct Parts {
    size_t start = 0, step = 0;
    std::optional<size_t> mask, pack, preview;
    std::optional<PlannedInput> initial, known, where;
  };
  SamplingJob() = default;
  // Chooses the loop and plans all programs.
  Result<Parts> planned(PlannedPrograms& programs, const Network& network,
                        const SchedulerConfig& scheduler, const SampleOptions& options,
                        const SamplingJobOptions& job_options);
  Result<Parts> planned_parts(PlannedPrograms& programs, const SampleOptions& options,
                              const SamplingJobOptions& job_options) const;
  void record_start(vk::CommandRecorder& recorder) override;
  Status add_steps(PlannedPrograms& programs, const Parts& parts, const DeviceWeights& weights);
  Status add_mask(PlannedPrograms& programs, const Parts& parts);
  Status add_pixels(PlannedPrograms& programs, const Parts& parts);

  SamplingLoop loop_;
  std::unique_ptr<Executor> start_, step_, pack_, preview_, mask_;
  DeviceTensor seeds_, labels_, divergence_, preview_pixels_;
  std::vector<DeviceTensor> zeroed_;  // states that a run starts with at zero
  std::vector<uint32_t> seed_values_, label_values_;
  size_t steps_unit_ = 0;
  bool weights_change_ = false;
};

}  // namespace ito
