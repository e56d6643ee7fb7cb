#include "api/sampling.h"

#include <algorithm>
#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

struct Loop {
  Sampler sampler;
  Shape shape;
  Program step;
};

Result<Loop> make_loop(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                       const ParameterSet& set, const SampleOptions& options) {
  if (unet.class_embed_type)
    return unsupported("sampling with class_embed_type \"{}\" is not supported",
                       *unet.class_embed_type);
  const auto size = unet.sample_size;
  if (!size && (options.height == 0 || options.width == 0))
    return invalid_argument("the model has no sample_size; give the image size");
  const int64_t h = options.height > 0 ? options.height : (*size)[0];
  const int64_t w = options.width > 0 ? options.width : (*size)[1];
  ITO_TRY(check_unet2d_size(unet, h, w));
  Loop loop;
  ITO_ASSIGN(loop.sampler,
             make_sampler(options.sampler, scheduler, {.steps = options.steps, .timesteps = {}},
                          {.eta = options.eta}));
  if (loop.sampler.output_multiple * unet.in_channels != unet.out_channels)
    return unsupported(
        "the network has {} output channels for {} input channels, the sampler "
        "expects {}",
        unet.out_channels, unet.in_channels, loop.sampler.output_multiple * unet.in_channels);
  loop.shape = {options.batch, h, w, unet.in_channels};
  SamplingOptions program_options;
  program_options.shape = loop.shape;
  program_options.denoiser = [&](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const Tensor flat = input(graph, state_name::kParameters, {set.size()});
    Tensor labels;
    if (unet.num_class_embeds)
      labels = input(graph, batch_name::kLabels, {options.batch}, DType::kU32);
    return unet2d(Scope(set, flat), unet, x, t, labels);
  };
  loop.step = sampling_program(loop.sampler, program_options);
  return loop;
}

}  // namespace

Result<Plan> sampling_plan(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                           const ParameterSet& set, const SampleOptions& options,
                           const DeviceCaps& caps) {
  ITO_ASSIGN(const Loop loop, make_loop(unet, scheduler, set, options));
  return compile(loop.step, caps);
}

Result<std::unique_ptr<SamplingSession>> SamplingSession::create(
    vk::Device& device, const UNet2DConfig& unet, const SchedulerConfig& scheduler,
    const ParameterSet& set, DeviceTensor weights, const SampleOptions& options) {
  ITO_ASSIGN(const Loop loop, make_loop(unet, scheduler, set, options));
  std::unique_ptr<SamplingSession> session(new SamplingSession);
  session->shape_ = loop.shape;
  session->steps_ = loop.sampler.steps();
  session->classes_ = unet.num_class_embeds.value_or(0);
  session->history_ = loop.sampler.history;
  ITO_ASSIGN(Plan step_plan, compile(loop.step, device.caps()));
  ITO_ASSIGN(session->step_, Executor::create(device, std::move(step_plan)));
  ITO_ASSIGN(
      Plan start_plan,
      compile(initial_noise_program(loop.shape, loop.sampler.init_noise_sigma), device.caps()));
  ITO_ASSIGN(session->start_, Executor::create(device, std::move(start_plan)));
  ITO_TRY(session->step_->bind(state_name::kParameters, std::move(weights)));
  // One x, one key (zero) and one list of seeds for both programs.
  for (const char* name : {sampling_names::kX, sampling_names::kKey, sampling_names::kImage}) {
    if (session->step_->plan().find_external(name) < 0) continue;
    ITO_ASSIGN(DeviceTensor tensor, session->start_->tensor(name));
    ITO_TRY(session->step_->bind(name, std::move(tensor)));
  }
  ITO_TRY(session->start_->prepare());
  ITO_TRY(session->step_->prepare());
  return session;
}

Result<std::unique_ptr<SamplingSession>> SamplingSession::create(vk::Device& device,
                                                                 const Model& model,
                                                                 const SampleOptions& options) {
  ITO_ASSIGN(DeviceTensor weights,
             DeviceTensor::create(device, DType::kF32, Shape{model.set.size()}));
  ITO_TRY(weights.write(bytes_of(model.weights)));
  return create(device, model.unet, model.scheduler, model.set, std::move(weights), options);
}

Shape SamplingSession::shape(int64_t requests) const {
  Shape shape = shape_;
  shape[0] = requests;
  return shape;
}

Result<std::vector<float>> SamplingSession::sample(std::span<const SampleRequest> requests,
                                                   const std::function<bool()>& after_step) {
  const int64_t count = static_cast<int64_t>(requests.size());
  if (count < 1 || count > batch())
    return invalid_argument("{} images were asked for in one batch, expected 1 to {}", count,
                            batch());
  // A short batch repeats its last image; the surplus is dropped.
  std::vector<uint32_t> seeds, labels;
  for (int64_t i = 0; i < batch(); ++i) {
    const SampleRequest& request = requests[static_cast<size_t>(std::min(i, count - 1))];
    if (classes_ > 0 && request.label >= static_cast<uint32_t>(classes_))
      return invalid_argument("class {} does not exist; the model has classes 0 to {}",
                              request.label, classes_ - 1);
    seeds.push_back(request.seed);
    labels.push_back(request.label);
  }
  ITO_TRY(start_->enqueue_write(sampling_names::kImage, seeds));
  if (classes_ > 0) ITO_TRY(step_->enqueue_write(batch_name::kLabels, labels));
  ITO_TRY(step_->enqueue_write(sampling_names::kStep, std::vector<uint32_t>{0}));
  const std::vector<float> zeros(history_.empty() ? 0 : static_cast<size_t>(shape_.numel()));
  for (const std::string& name : history_)
    ITO_TRY(step_->enqueue_write(sampling_names::kHistory + name, zeros));
  ITO_TRY(start_->run());
  for (int i = 0; i < steps_; ++i) {
    ITO_TRY(step_->run());
    if (after_step && !after_step()) return interrupted("sampling was stopped");
  }
  ITO_ASSIGN(std::vector<float> images, step_->read<float>(sampling_names::kX));
  images.resize(static_cast<size_t>(shape(count).numel()));
  return images;
}

}  // namespace ito
