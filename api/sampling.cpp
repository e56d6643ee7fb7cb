#include "api/sampling.h"

#include <algorithm>
#include <utility>

#include "api/divergence_watch.h"
#include "api/model_score.h"
#include "api/task.h"
#include "base/error.h"
#include "diffusion/probability_flow.h"
#include "diffusion/sampling_program.h"
#include "graph/compile.h"

namespace ito {
namespace {

constexpr int64_t kMaxFlowEvaluations = 20'000;

OdeOptions ode_options(const SampleOptions& options) {
  return {.rtol = options.rtol, .atol = options.atol};
}

}  // namespace

Result<Plan> sampling_plan(const Network& network, const SchedulerConfig& scheduler,
                           const SampleOptions& options, const DeviceCaps& caps) {
  ITO_ASSIGN(const SamplingLoop loop, sampling_loop(network, scheduler, options));
  if (!loop.flow) return compile(loop.step, caps);
  ITO_TRY(check_ode_options(ode_options(options)));
  return compile(ode_step_program(*loop.flow, ode_options(options)), caps);
}

Result<std::unique_ptr<SamplingSession>> SamplingSession::create(vk::Device& device,
                                                                 const Network& network,
                                                                 const SchedulerConfig& scheduler,
                                                                 DeviceTensor weights,
                                                                 const SampleOptions& options) {
  std::unique_ptr<SamplingSession> session(new SamplingSession);
  session->context_ = options.context;
  ITO_ASSIGN(session->loop_, sampling_loop(network, scheduler, options));
  const SamplingLoop& loop = session->loop_;
  ITO_ASSIGN(Plan start_plan,
             compile(initial_noise_program(loop.shape, loop.start_std), device.caps()));
  ITO_ASSIGN(session->start_, Executor::create(device, std::move(start_plan)));
  ITO_TRY(loop.flow ? session->prepare_flow(device, std::move(weights), ode_options(options))
                    : session->prepare_steps(device, std::move(weights), options.control));
  ITO_TRY(session->start_->prepare());
  return session;
}

// One x, one key (zero) and one list of seeds for both programs.
Status SamplingSession::prepare_steps(vk::Device& device, DeviceTensor weights,
                                      const SampleControl* control) {
  ITO_ASSIGN(Plan plan, compile(loop_.step, device.caps()));
  ITO_ASSIGN(step_, Executor::create(device, std::move(plan)));
  ITO_TRY(step_->bind(state_name::kParameters, std::move(weights)));
  for (const char* name : {sampling_names::kX, sampling_names::kKey, sampling_names::kImage}) {
    if (step_->plan().find_external(name) < 0) continue;
    ITO_ASSIGN(DeviceTensor tensor, start_->tensor(name));
    ITO_TRY(step_->bind(name, std::move(tensor)));
  }
  ITO_TRY(bind_control(device, *step_, control));
  return step_->prepare();
}

Status SamplingSession::prepare_flow(vk::Device& device, DeviceTensor weights,
                                     const OdeOptions& options) {
  ITO_ASSIGN(solver_, OdeSolver::create(device, *loop_.flow, options));
  ITO_TRY(solver_->bind(state_name::kParameters, std::move(weights)));
  ITO_ASSIGN(DeviceTensor x, solver_->tensor(flow_names::kState));
  return start_->bind(sampling_names::kX, std::move(x));
}

Result<std::unique_ptr<SamplingSession>> SamplingSession::create(vk::Device& device,
                                                                 const Model& model,
                                                                 const SampleOptions& options) {
  ITO_ASSIGN(DeviceTensor weights,
             DeviceTensor::create(device, DType::kF32, Shape{model.network.set().size()}));
  ITO_TRY(weights.write(bytes_of(model.weights)));
  ITO_ASSIGN(auto session,
             create(device, model.network, model.scheduler, std::move(weights), options));
  if (model.decoder) {
    ITO_ASSIGN(session->decoder_, LatentDecoder::create(device, *model.decoder, options.tiled));
  }
  return session;
}

Shape SamplingSession::shape(int64_t requests) const {
  Shape shape = loop_.shape;
  shape[0] = requests;
  return decoder_ ? decoder_->picture(shape) : shape;
}

Status SamplingSession::write_conditioning(const std::vector<uint32_t>& labels,
                                           const std::vector<uint32_t>& rows) {
  if (loop_.classes > 0)
    ITO_TRY(solver_ ? solver_->write(batch_name::kLabels, labels)
                    : step_->enqueue_write(batch_name::kLabels, labels));
  if (context_ == nullptr) return {};
  ITO_ASSIGN(const std::vector<float> states, context_rows(*context_, rows));
  return solver_ ? solver_->write(batch_name::kContext, states)
                 : step_->enqueue_write(batch_name::kContext, states);
}

Status SamplingSession::run_steps(const std::function<bool()>& after_step) {
  ITO_TRY(step_->enqueue_write(sampling_names::kStep, std::vector<uint32_t>{0}));
  const std::vector<float> zeros(loop_.history.empty() ? 0
                                                       : static_cast<size_t>(loop_.shape.numel()));
  for (const std::string& name : loop_.history)
    ITO_TRY(step_->enqueue_write(sampling_names::kHistory + name, zeros));
  DivergenceWatch watch(*step_, loop_.name);
  ITO_TRY(watch.start());
  for (int i = 0; i < loop_.steps; ++i) {
    ITO_TRY(step_->run());
    if (after_step && !after_step()) return interrupted("sampling was stopped");
    ITO_TRY(watch.look());
  }
  return watch.finish();
}

Result<std::vector<float>> SamplingSession::sample(std::span<const SampleRequest> requests,
                                                   const std::function<bool()>& after_step) {
  const int64_t count = static_cast<int64_t>(requests.size());
  if (count < 1 || count > batch())
    return invalid_argument("{} images were asked for in one batch, expected 1 to {}", count,
                            batch());
  // A short batch repeats its last image; the surplus is dropped.
  std::vector<uint32_t> seeds, labels, rows;
  for (int64_t i = 0; i < batch(); ++i) {
    const SampleRequest& request = requests[static_cast<size_t>(std::min(i, count - 1))];
    if (loop_.classes > 0 && request.label >= static_cast<uint32_t>(loop_.classes))
      return invalid_argument("class {} does not exist; the model has classes 0 to {}",
                              request.label, loop_.classes - 1);
    seeds.push_back(request.seed);
    labels.push_back(request.label);
    rows.push_back(request.context);
  }
  ITO_TRY(start_->enqueue_write(sampling_names::kImage, seeds));
  ITO_TRY(write_conditioning(labels, rows));
  ITO_TRY(start_->run());
  if (solver_) {
    ITO_TRY(solver_->solve(loop_.from, loop_.to, kMaxFlowEvaluations, after_step));
  } else {
    ITO_TRY(run_steps(after_step));
  }
  ITO_ASSIGN(std::vector<float> images, solver_ ? solver_->read<float>(flow_names::kState)
                                                : step_->read<float>(sampling_names::kX));
  if (decoder_) {
    ITO_ASSIGN(images, decoder_->decode_scaled(loop_.shape, images));
  }
  images.resize(static_cast<size_t>(shape(count).numel()));
  return images;
}

}  // namespace ito
