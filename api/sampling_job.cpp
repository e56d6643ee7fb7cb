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
  PlannedPrograms programs(device, job_options.origin);
  ITO_ASSIGN(const Parts parts, job->planned(programs, network, scheduler, given, job_options));
  ITO_TRY(programs.make_kernels());
  ITO_ASSIGN(job->start_, programs.executor(parts.start));
  ITO_ASSIGN(job->step_, programs.executor(parts.step));
  ITO_TRY(job->add_steps(programs, parts, weights));
  ITO_TRY(job->add_pixels(programs, parts));
  for (const DeviceTensor* tensor : {&job->result_, &job->pixels_, &job->divergence_})
    if (tensor->valid()) ITO_TRY(job->add_result(device, *tensor));
  const auto images = static_cast<size_t>(job->batch());
  job->seed_values_.resize(images);
  job->label_values_.resize(images);
  return job;
}

Result<std::vector<Plan>> SamplingJob::plans(const DeviceCaps& caps, const Network& network,
                                             const SchedulerConfig& scheduler,
                                             const SampleOptions& options,
                                             const SamplingJobOptions& job_options) {
  PlannedPrograms programs(caps);
  SamplingJob job;
  ITO_TRY(job.planned(programs, network, scheduler, options, job_options));
  return programs.take_plans();
}

Result<SamplingJob::Parts> SamplingJob::planned(PlannedPrograms& programs, const Network& network,
                                                const SchedulerConfig& scheduler,
                                                const SampleOptions& given,
                                                const SamplingJobOptions& job_options) {
  ITO_ASSIGN(const Network on_device, network.for_device(programs.caps()));
  SampleOptions options = resolved(given, on_device, scheduler);
  options.previews = job_options.preview;
  SampleControl control;
  CHECK(options.control == nullptr, "a job has a control of its own");
  if (job_options.inpaint) ITO_TRY(take_inpainting(on_device, options, control));
  ITO_ASSIGN(loop_, sampling_loop(on_device, scheduler, options));
  ITO_TRY(check_for_jobs(options, loop_));
  return planned_parts(programs, options, job_options);
}

Result<SamplingJob::Parts> SamplingJob::planned_parts(PlannedPrograms& programs,
                                                      const SampleOptions& options,
                                                      const SamplingJobOptions& job_options) const {
  Parts parts;
  ITO_ASSIGN(parts.start, programs.add(start_program(loop_, options)));
  ITO_ASSIGN(parts.step, programs.add(loop_.step));
  if (options.initial) {
    ITO_ASSIGN(parts.initial, planned_input(programs, JobInputKind::kInitial, parts.start,
                                            sampling_ports::kPicture.name, job_options.pictures));
  }
  if (job_options.inpaint) {
    const double threshold = job_options.mask ? 0 : 0.5;
    ITO_ASSIGN(parts.mask, programs.add(options.inpainting
                                            ? inpainting_program(loop_.shape, threshold)
                                            : masked_observation_program(loop_.shape, threshold)));
    ITO_ASSIGN(parts.known, planned_input(programs, JobInputKind::kKnown, *parts.mask,
                                          masked_ports::kPicture.name, job_options.pictures));
    ITO_ASSIGN(parts.where, planned_input(programs, JobInputKind::kMask, *parts.mask,
                                          masked_ports::kMask.name, job_options.mask));
  }
  if (job_options.pixels) {
    ITO_ASSIGN(const Program program, pixel_program(loop_.shape, *job_options.pixels));
    ITO_ASSIGN(parts.pack, programs.add(program));
    if (job_options.preview) parts.preview = programs.add(Plan(programs.plan(*parts.pack)));
  }
  return parts;
}

Status SamplingJob::add_steps(PlannedPrograms& programs, const Parts& parts,
                              const DeviceWeights& weights) {
  ITO_TRY(weights.bind(*step_));
  ITO_TRY(step_->share(*start_, sampling_ports::kX, sampling_ports::kKey, sampling_ports::kImage));
  ITO_ASSIGN(result_, start_->tensor(sampling_ports::kX));
  ITO_ASSIGN(seeds_, start_->tensor(sampling_ports::kImage));
  if (loop_.classes > 0) {
    ITO_ASSIGN(labels_, step_->tensor(batch_ports::kLabels));
  }
  const auto zeroed = [&](const auto& port) -> Status {
    ITO_ASSIGN(DeviceTensor state, step_->tensor(port));
    zeroed_.push_back(std::move(state));
    return {};
  };
  ITO_TRY(zeroed(sampling_ports::kStep));
  ITO_TRY(zeroed(sampling_ports::kDivergence));
  divergence_ = zeroed_.back();
  for (const MethodState& state : loop_.sampling.method->states)
    ITO_TRY(zeroed(sampling_ports::kHistory[state.name]));
  if (parts.initial) ITO_TRY(add_input(programs, *parts.initial, *start_));
  if (parts.mask) ITO_TRY(add_mask(programs, parts));
  ITO_TRY(warm_up(*start_));
  ITO_TRY(warm_up(*step_));
  add_units(*start_);
  steps_unit_ = add_units(*step_, loop_.steps());
  return {};
}

// The program that tells the steps of the picture and the mask, and these as inputs.
Status SamplingJob::add_mask(PlannedPrograms& programs, const Parts& parts) {
  ITO_ASSIGN(mask_, programs.executor(*parts.mask));
  ITO_TRY(step_->share(*mask_, kInpainting, constraint_ports::kObserved,
                       constraint_ports::kObservedStd));
  ITO_TRY(add_input(programs, *parts.known, *mask_));
  ITO_TRY(add_input(programs, *parts.where, *mask_));
  ITO_TRY(warm_up(*mask_));
  add_units(*mask_);
  return {};
}

Status SamplingJob::add_pixels(PlannedPrograms& programs, const Parts& parts) {
  const auto packer = [&](size_t place,
                          const DeviceTensor& x) -> Result<std::unique_ptr<Executor>> {
    ITO_ASSIGN(auto pack, programs.executor(place));
    ITO_TRY(pack->bind(pixel_ports::kX, x));
    ITO_TRY(warm_up(*pack));
    return pack;
  };
  if (parts.pack) {
    ITO_ASSIGN(pack_, packer(*parts.pack, result_));
    ITO_ASSIGN(pixels_, pack_->tensor(pixel_ports::kWords.name));
    add_units(*pack_);
  }
  if (!parts.preview) return {};
  DeviceTensor estimate = result_;
  if (step_->has(solver_ports::kX0)) {
    ITO_ASSIGN(estimate, step_->tensor(solver_ports::kX0));
    zeroed_.push_back(estimate);
  }
  ITO_ASSIGN(preview_, packer(*parts.preview, estimate));
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
  std::vector<uint32_t> words(divergence_.size() / sizeof(uint32_t));
  ITO_TRY(read(divergence_, writable_bytes_of(words)));
  return check_divergence(words, loop_.name);
}

}  // namespace ito
