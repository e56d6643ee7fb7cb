#include "api/sampling_job.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "api/autoencoder.h"
#include "api/control.h"
#include "api/task.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/divergence_words.h"
#include "diffusion/sampling_program.h"
#include "graph/compile.h"
#include "runtime/prewarm.h"

namespace ito {
namespace {

// Replays of a warm-up. A CPU driver compiles its kernels in the first, which is not counted, and
// shares its processors with others.
constexpr uint32_t kWarmUpReplays = 5;
constexpr uint32_t kWarmUpReplaysOfGpu = 2;

Status check_for_jobs(const SampleOptions& options, const SamplingLoop& loop) {
  if (loop.flow)
    return unsupported(
        "sampler {} decides its steps while it runs; a job wants a fixed number, as "
        "of ddim",
        loop.name);
  if (is_uploaded(options.random))
    return unsupported("a job draws its random numbers on the device, not PyTorch's");
  if (options.initial || options.inpainting || options.context != nullptr ||
      options.control != nullptr)
    return unsupported("a job is told seeds and classes only, no picture, context or guide");
  const int64_t most = SamplingJob::kMostImages;
  if (loop.shape[0] > most)
    return invalid_argument("a job of {} images was asked for, expected at most {}", loop.shape[0],
                            most);
  return {};
}

void update_words(vk::CommandRecorder& recorder, const DeviceTensor& tensor,
                  const std::vector<uint32_t>& words) {
  recorder.update(*tensor.buffer(), tensor.offset(), bytes_of(words));
}

}  // namespace

Result<std::unique_ptr<SamplingJob>> SamplingJob::create(vk::Device& device, const Network& network,
                                                         const SchedulerConfig& scheduler,
                                                         const DeviceWeights& weights,
                                                         const SampleOptions& options,
                                                         std::optional<PixelFormat> pixels) {
  std::unique_ptr<SamplingJob> job(new SamplingJob);
  ITO_ASSIGN(const Network on_device, network.for_device(device.caps()));
  ITO_ASSIGN(job->loop_, sampling_loop(on_device, scheduler, options));
  const SamplingLoop& loop = job->loop_;
  ITO_TRY(check_for_jobs(options, loop));
  std::array<Plan, 3> plans;
  ITO_ASSIGN(plans[0],
             compile(initial_noise_program(loop.shape, loop.sampling.start_std), device.caps()));
  ITO_ASSIGN(plans[1], compile(loop.step, device.caps()));
  if (pixels) {
    ITO_ASSIGN(const Program program, pixel_program(loop.shape, *pixels));
    ITO_ASSIGN(plans[2], compile(program, device.caps()));
  }
  const std::array<const Plan*, 3> all = {&plans[0], &plans[1], &plans[2]};
  ITO_ASSIGN(const auto kernels, make_kernels(device, all));
  ITO_ASSIGN(job->start_, Executor::create(device, std::move(plans[0])));
  ITO_ASSIGN(job->step_, Executor::create(device, std::move(plans[1])));
  ITO_TRY(weights.bind(*job->step_));
  ITO_TRY(job->step_->share(*job->start_, sampling_ports::kX, sampling_ports::kKey,
                            sampling_ports::kImage));
  ITO_ASSIGN(job->images_, job->start_->tensor(sampling_ports::kX));
  ITO_ASSIGN(job->seeds_, job->start_->tensor(sampling_ports::kImage));
  if (loop.classes > 0) {
    ITO_ASSIGN(job->labels_, job->step_->tensor(batch_ports::kLabels));
  }
  const auto zeroed = [&](const auto& port) -> Status {
    ITO_ASSIGN(DeviceTensor state, job->step_->tensor(port));
    job->zeroed_.push_back(std::move(state));
    return {};
  };
  ITO_TRY(zeroed(sampling_ports::kStep));
  ITO_TRY(zeroed(sampling_ports::kDivergence));
  job->divergence_ = job->zeroed_.back();
  for (const MethodState& state : loop.sampling.method->states)
    ITO_TRY(zeroed(sampling_ports::kHistory[state.name]));
  ITO_TRY(job->start_->prepare());
  ITO_TRY(job->step_->prepare());
  const Plan& start = job->start_->plan();
  const Plan& step = job->step_->plan();
  job->units_ = {{job->start_.get(), 0, start.calls.size()},
                 {job->step_.get(), 0, step.prologue, 1, true},
                 {job->step_.get(), step.prologue, step.calls.size(), loop.steps()}};
  if (pixels) {
    ITO_ASSIGN(job->pack_, Executor::create(device, std::move(plans[2])));
    ITO_TRY(job->pack_->bind(pixel_ports::kX, job->images_));
    ITO_ASSIGN(job->packed_, job->pack_->tensor(pixel_ports::kBytes.name));
    ITO_TRY(job->pack_->prepare());
    job->units_.push_back({job->pack_.get(), 0, job->pack_->plan().calls.size()});
  }
  const auto images = static_cast<size_t>(loop.shape[0]);
  job->seed_values_.resize(images);
  job->label_values_.resize(images);
  return job;
}

Status SamplingJob::warm_up() {
  CHECK(!begun_, "a warm-up of a job that has begun");
  for (Executor* executor : {start_.get(), step_.get(), pack_.get()}) {
    if (executor == nullptr || !executor->device().queue().can_submit()) continue;
    ITO_TRY(executor->measure_calls(executor->device().caps().is_cpu ? kWarmUpReplays
                                                                     : kWarmUpReplaysOfGpu));
  }
  return {};
}

Status SamplingJob::begin(std::span<const SampleRequest> requests) {
  if (static_cast<int64_t>(requests.size()) != batch())
    return invalid_argument("{} images were asked for, expected {}, the job's batch",
                            requests.size(), batch());
  for (const SampleRequest& request : requests)
    if (loop_.classes > 0 && request.label >= static_cast<uint32_t>(loop_.classes))
      return invalid_argument("class {} does not exist; the model has classes 0 to {}",
                              request.label, loop_.classes - 1);
  for (size_t i = 0; i < requests.size(); ++i) {
    seed_values_[i] = requests[i].seed;
    label_values_[i] = requests[i].label;
  }
  // Commands of an unfinished run may have been dropped.
  prologue_recorded_ = prologue_recorded_ && done();
  begun_ = true;
  started_ = false;
  at_ = 0;
  round_ = 0;
  cursor_ = {units_[0].first, 0};
  return {};
}

// What a run starts with, before its first call.
void SamplingJob::record_start(vk::CommandRecorder& recorder) {
  update_words(recorder, seeds_, seed_values_);
  if (labels_.valid()) update_words(recorder, labels_, label_values_);
  for (const DeviceTensor& state : zeroed_)
    recorder.fill(*state.buffer(), state.offset(), state.size(), 0);
  started_ = true;
}

void SamplingJob::next_unit() {
  const Unit& unit = units_[at_];
  prologue_recorded_ |= unit.once;
  if (++round_ == unit.times) {
    ++at_;
    round_ = 0;
  }
  if (at_ < units_.size()) cursor_ = {units_[at_].first, 0};
}

Status SamplingJob::record(vk::CommandRecorder& recorder, SliceBudget& budget) {
  if (!begun_) return invalid_argument("a job must be told its images before it is recorded");
  if (done()) return {};
  recorder.begin_barrier();
  if (!started_) {
    record_start(recorder);
    recorder.begin_barrier();
  }
  bool must = true;
  while (!done()) {
    const Unit& unit = units_[at_];
    if (!(unit.once && prologue_recorded_) && unit.first < unit.end) {
      ITO_ASSIGN(const uint32_t count,
                 unit.executor->record_part(recorder, cursor_, unit.end, budget, must));
      must = must && count == 0;
      if (cursor_.call < unit.end) break;  // no room for more
    }
    next_unit();
    recorder.barrier();
  }
  recorder.end_barrier();
  return {};
}

void SamplingJob::return_to(const Place& place) {
  started_ = place.started;
  prologue_recorded_ = place.prologue_recorded;
  at_ = place.at;
  round_ = place.round;
  cursor_ = place.cursor;
}

int SamplingJob::step() const {
  constexpr size_t kSteps = 2;  // of units_
  return at_ < kSteps ? 0 : at_ > kSteps ? steps() : round_;
}

Status SamplingJob::check() {
  ITO_ASSIGN(const auto words, step_->read<uint32_t>(sampling_ports::kDivergence));
  return check_divergence(words, loop_.name);
}

Status SamplingJob::check(std::span<const std::byte> bytes) const {
  std::vector<uint32_t> words(bytes.size() / sizeof(uint32_t));
  std::memcpy(words.data(), bytes.data(), words.size() * sizeof(uint32_t));
  return check_divergence(words, loop_.name);
}

}  // namespace ito
