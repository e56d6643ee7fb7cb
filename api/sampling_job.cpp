#include "api/sampling_job.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/control.h"
#include "api/task.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/divergence_words.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling_program.h"

namespace ito {
namespace {

Status check_for_jobs(const SampleOptions& options, const SamplingLoop& loop) {
  if (loop.flow)
    return unsupported(
        "sampler {} decides its steps while it runs; a job wants a fixed number, as "
        "of ddim",
        loop.name);
  if (inverts(loop.name))
    return unsupported("sampler {} makes latents of a picture, which is not for jobs", loop.name);
  if (is_uploaded(options.random))
    return unsupported("a job draws its random numbers on the device, not PyTorch's");
  if (options.context != nullptr)
    return unsupported("a job is told seeds, classes and pictures, no context");
  const int64_t most = SamplingJob::kMostImages;
  if (loop.shape[0] > most)
    return invalid_argument("a job of {} images was asked for, expected at most {}", loop.shape[0],
                            most);
  return {};
}

// What the options say of a picture to fill in, of which only the size counts here: the pictures
// come later. Of a network that fills in it is its input, of others an observation.
Status take_inpainting(const Network& network, SampleOptions& options, SampleControl& control) {
  ITO_ASSIGN(const Shape shape, sample_shape(network, options));
  const Shape image{shape[1], shape[2], shape[3]};
  const auto pixels = static_cast<size_t>(image[0] * image[1]);
  const auto numbers = static_cast<size_t>(image.numel());
  if (fills_in(network.signature())) {
    options.inpainting = Inpainting{.fill = std::vector<float>(pixels),
                                    .known = {.mean = std::vector<float>(numbers)}};
    return {};
  }
  ITO_ASSIGN(Measurement all, Measurement::mask(image, std::vector<float>(pixels, 1)));
  control.observation =
      Observation{.measurement = std::move(all), .y = std::vector<float>(numbers)};
  options.control = &control;
  return {};
}

}  // namespace

Result<std::unique_ptr<SamplingJob>> SamplingJob::create(vk::Device& device, const Network& network,
                                                         const SchedulerConfig& scheduler,
                                                         const DeviceWeights& weights,
                                                         const SampleOptions& given,
                                                         const SamplingJobOptions& job_options) {
  std::unique_ptr<SamplingJob> job(new SamplingJob);
  job->weights_change_ = job_options.weights_change;
  ITO_ASSIGN(const Network on_device, network.for_device(device.caps()));
  SampleOptions options = resolved(given, on_device, scheduler);
  options.previews = job_options.preview;
  SampleControl control;
  CHECK(options.control == nullptr, "a job has a control of its own");
  if (job_options.inpaint) ITO_TRY(take_inpainting(on_device, options, control));
  ITO_ASSIGN(job->loop_, sampling_loop(on_device, scheduler, options));
  const SamplingLoop& loop = job->loop_;
  ITO_TRY(check_for_jobs(options, loop));
  ITO_ASSIGN(job->start_, compiled(device, start_program(loop, options)));
  ITO_ASSIGN(job->step_, compiled(device, loop.step));
  ITO_TRY(weights.bind(*job->step_));
  ITO_TRY(job->step_->share(*job->start_, sampling_ports::kX, sampling_ports::kKey,
                            sampling_ports::kImage));
  ITO_ASSIGN(job->result_, job->start_->tensor(sampling_ports::kX));
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
  for (const MethodState& state : loop.sampling.method->states)
    ITO_TRY(zeroed(sampling_ports::kHistory[state.name]));
  if (options.initial)
    ITO_TRY(job->add_input(device, JobInputKind::kInitial, *job->start_,
                           sampling_ports::kPicture.name, job_options.pictures));
  ITO_TRY(job->add_inpainting(device, options, job_options));
  ITO_TRY(job->warm_up(*job->start_));
  ITO_TRY(job->warm_up(*job->step_));
  job->add_units(*job->start_);
  job->steps_unit_ = job->add_units(*job->step_, loop.steps());
  ITO_TRY(job->add_pixels(device, job_options));
  const auto images = static_cast<size_t>(loop.shape[0]);
  job->seed_values_.resize(images);
  job->label_values_.resize(images);
  return job;
}

// The program that tells the steps of the picture and the mask, and these as inputs.
Status SamplingJob::add_inpainting(vk::Device& device, const SampleOptions& options,
                                   const SamplingJobOptions& job_options) {
  if (!job_options.inpaint) return {};
  const double threshold = job_options.mask ? 0 : 0.5;
  ITO_ASSIGN(mask_, compiled(device, options.inpainting
                                         ? inpainting_program(loop_.shape, threshold)
                                         : masked_observation_program(loop_.shape, threshold)));
  ITO_TRY(step_->share(*mask_, kInpainting, constraint_ports::kObserved,
                       constraint_ports::kObservedStd));
  ITO_TRY(add_input(device, JobInputKind::kKnown, *mask_, masked_ports::kPicture.name,
                    job_options.pictures));
  ITO_TRY(
      add_input(device, JobInputKind::kMask, *mask_, masked_ports::kMask.name, job_options.mask));
  ITO_TRY(warm_up(*mask_));
  add_units(*mask_);
  return {};
}

Status SamplingJob::add_pixels(vk::Device& device, const SamplingJobOptions& job_options) {
  if (!job_options.pixels) return {};
  const auto packer = [&](const DeviceTensor& x) -> Result<std::unique_ptr<Executor>> {
    ITO_ASSIGN(const Program program, pixel_program(loop_.shape, *job_options.pixels));
    ITO_ASSIGN(auto pack, compiled(device, program));
    ITO_TRY(pack->bind(pixel_ports::kX, x));
    ITO_TRY(warm_up(*pack));
    return pack;
  };
  ITO_ASSIGN(pack_, packer(result_));
  ITO_ASSIGN(pixels_, pack_->tensor(pixel_ports::kWords.name));
  add_units(*pack_);
  if (!job_options.preview) return {};
  DeviceTensor estimate = result_;
  if (step_->has(solver_ports::kX0)) {
    ITO_ASSIGN(estimate, step_->tensor(solver_ports::kX0));
    zeroed_.push_back(estimate);
  }
  ITO_ASSIGN(preview_, packer(estimate));
  ITO_ASSIGN(preview_pixels_, preview_->tensor(pixel_ports::kWords.name));
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
  ITO_TRY(Job::begin());
  if (weights_change_) kept_ = false;
  return {};
}

// What a run starts with, before its first call.
void SamplingJob::record_start(vk::CommandRecorder& recorder) {
  update_words(recorder, seeds_, bytes_of(seed_values_));
  if (labels_.valid()) update_words(recorder, labels_, bytes_of(label_values_));
  for (const DeviceTensor& state : zeroed_)
    recorder.fill(*state.buffer(), state.offset(), state.size(), 0);
}

Status SamplingJob::record_preview(vk::CommandRecorder& recorder) {
  if (preview_ == nullptr)
    return unsupported("the job was made without previews, or without a pixel format");
  return preview_->record_into(recorder);
}

int64_t SamplingJob::step() const {
  return at_ < steps_unit_ ? 0 : at_ > steps_unit_ ? steps() : round_;
}

Status SamplingJob::check() {
  ITO_ASSIGN(const auto words, step_->read<uint32_t>(sampling_ports::kDivergence));
  return check_divergence(words, loop_.name);
}

}  // namespace ito
