#include "api/sampling.h"

#include <algorithm>
#include <utility>

#include "api/model_score.h"
#include "api/replay.h"
#include "api/task.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/probability_flow.h"
#include "diffusion/sampling_program.h"
#include "diffusion/streams.h"
#include "graph/compile.h"

namespace ito {
namespace {

constexpr int64_t kMaxFlowEvaluations = 20'000;

OdeOptions ode_options(const SampleOptions& options) {
  return {.rtol = options.rtol, .atol = options.atol};
}

Status check_initial(const SampleOptions& options, const Shape& shape) {
  if (!options.initial || options.initial->picture.mean.empty()) return {};
  const size_t expected = static_cast<size_t>(shape.numel() / shape[0]);
  if (options.initial->picture.mean.size() == expected) return {};
  return invalid_argument("the picture to begin at has {} numbers, expected {} ({}x{}x{})",
                          options.initial->picture.mean.size(), expected, shape[1], shape[2],
                          shape[3]);
}

// [n, h, w, c] of numbers that PyTorch draws as [1, c, h, w] an image.
std::vector<float> torch_normal(std::vector<TorchGenerator>& generators, const Shape& shape) {
  const size_t pixels = static_cast<size_t>(shape[1] * shape[2]);
  const size_t channels = static_cast<size_t>(shape[3]), one = pixels * channels;
  std::vector<float> all(generators.size() * one), planes(one);
  for (size_t image = 0; image < generators.size(); ++image) {
    generators[image].randn(planes);
    for (size_t c = 0; c < channels; ++c)
      for (size_t p = 0; p < pixels; ++p)
        all[image * one + p * channels + c] = planes[c * pixels + p];
  }
  return all;
}

}  // namespace

Result<Plan> sampling_plan(const Network& network, const SchedulerConfig& scheduler,
                           const SampleOptions& options, const DeviceCaps& caps) {
  ITO_ASSIGN(const Network on_device, network.for_device(caps));
  ITO_ASSIGN(const SamplingLoop loop, sampling_loop(on_device, scheduler, options));
  if (!loop.flow) return compile(loop.step, caps);
  ITO_TRY(check_ode_options(ode_options(options)));
  return compile(ode_step_program(*loop.flow, ode_options(options)), caps);
}

Result<std::unique_ptr<SamplingSession>> SamplingSession::create(vk::Device& device,
                                                                 const Network& network,
                                                                 const SchedulerConfig& scheduler,
                                                                 const DeviceWeights& weights,
                                                                 const SampleOptions& options) {
  std::unique_ptr<SamplingSession> session(new SamplingSession);
  session->options_ = options;
  session->context_ = options.context;
  ITO_ASSIGN(const Network on_device, network.for_device(device.caps()));
  ITO_ASSIGN(session->loop_, sampling_loop(on_device, scheduler, options));
  const SamplingLoop& loop = session->loop_;
  ITO_TRY(check_initial(options, loop.shape));
  ITO_ASSIGN(Plan start_plan, compile(start_program(loop, options), device.caps()));
  ITO_ASSIGN(session->start_, Executor::create(device, std::move(start_plan)));
  ITO_TRY(loop.flow ? session->prepare_flow(device, weights, ode_options(options))
                    : session->prepare_steps(device, weights, options.control));
  ITO_TRY(session->start_->prepare());
  return session;
}

// One x, one key (zero) and one list of seeds for both programs.
Status SamplingSession::prepare_steps(vk::Device& device, const DeviceWeights& weights,
                                      const SampleControl* control) {
  ITO_ASSIGN(Plan plan, compile(loop_.step, device.caps()));
  ITO_ASSIGN(step_, Executor::create(device, std::move(plan)));
  ITO_TRY(weights.bind(*step_));
  ITO_TRY(step_->share(*start_, sampling_ports::kX, sampling_ports::kKey, sampling_ports::kImage));
  ITO_TRY(bind_control(device, *step_, control));
  return step_->prepare();
}

Status SamplingSession::prepare_flow(vk::Device& device, const DeviceWeights& weights,
                                     const OdeOptions& options) {
  ITO_ASSIGN(solver_, OdeSolver::create(device, *loop_.flow, options));
  ITO_TRY(weights.bind(*solver_));
  ITO_ASSIGN(DeviceTensor x, solver_->tensor(flow_ports::kState));
  return start_->bind(sampling_ports::kX, std::move(x));
}

Result<std::unique_ptr<SamplingSession>> SamplingSession::create(vk::Device& device,
                                                                 const Model& model,
                                                                 const SampleOptions& options) {
  ITO_ASSIGN(const Network network, model.network.for_device(device.caps()));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), model.weights));
  ITO_ASSIGN(auto session, create(device, network, model.scheduler, weights, options));
  if (model.decoder && !inverts(session->loop_.name)) {  // which gives latents
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
    ITO_TRY(solver_ ? solver_->write(batch_ports::kLabels, labels)
                    : step_->enqueue_write(batch_ports::kLabels, labels));
  if (context_ == nullptr) return {};
  const auto write = [&](const Port<float>& port, const ContextStates& context,
                         const std::vector<uint32_t>& which) -> Status {
    ITO_ASSIGN(const std::vector<float> states, context_rows(context, which));
    return solver_ ? solver_->write(port, states) : step_->enqueue_write(port, states);
  };
  ITO_TRY(write(batch_ports::kContext, *context_, rows));
  if (!options_.classifier_free) return {};
  std::vector<uint32_t> negative;
  for (const uint32_t row : rows)
    negative.push_back(row % static_cast<uint32_t>(options_.negative_context->rows));
  return write(batch_ports::kNoContext, *options_.negative_context, negative);
}

// For a picture's latents: PyTorch's next numbers, or the device's own of that stream.
std::vector<float> SamplingSession::picture_noise_of(const std::vector<uint32_t>& seeds,
                                                     uint32_t stream) {
  if (!torch_.empty()) return torch_normal(torch_, loop_.shape);
  return picture_noise(seeds, loop_.shape.numel() / loop_.shape[0], stream);
}

Status SamplingSession::preview(int every,
                                std::function<void(int, const std::vector<float>&)> preview) {
  if (!loop_.sampling.solver)
    return unsupported("sampler {} gives no previews; expected a solver such as ddim", loop_.name);
  if (decoder_) return unsupported("previews of latents are not drawn");
  CHECK(options_.previews, "previews of a session that was made without");
  CHECK(every > 0, "a preview every so many steps");
  preview_every_ = every;
  preview_ = std::move(preview);
  return {};
}

// Of PyTorch's random numbers those after the noise that a run begins at, as diffusers draws them.
Status SamplingSession::write_inpainting(const std::vector<uint32_t>& seeds) {
  if (!options_.inpainting) return {};
  const Shape& shape = loop_.shape;
  std::vector<float> noise;
  if (!options_.inpainting->known.std.empty()) noise = picture_noise_of(seeds, kStreamKnownLatents);
  const std::vector<float> values = inpainting_input(*options_.inpainting, shape[0], noise);
  return solver_ ? solver_->write(kInpainting, values) : step_->enqueue_write(kInpainting, values);
}

// Where a run begins is given; noise that its steps draw is still the seeds'.
Status SamplingSession::begin_at(const std::vector<float>& x, const std::vector<uint32_t>& seeds) {
  if (solver_) return solver_->write(flow_ports::kState, x);
  if (step_->has(sampling_ports::kImage))
    ITO_TRY(step_->enqueue_write(sampling_ports::kImage, seeds));
  return step_->enqueue_write(sampling_ports::kX, x);
}

Status SamplingSession::start(const std::vector<uint32_t>& seeds, std::vector<float> x) {
  const Shape& shape = loop_.shape;
  if (is_uploaded(options_.random)) {
    torch_.clear();
    for (uint32_t seed : seeds) torch_.emplace_back(seed);
  }
  if (!x.empty() && !options_.initial) {
    ITO_TRY(write_inpainting(seeds));
    return begin_at(x, seeds);
  }
  // Of PyTorch's numbers these come before the noise that the picture is then given.
  if (x.empty() && options_.initial) {
    const EncodedPicture& picture = options_.initial->picture;
    std::vector<float> noise;
    if (!picture.std.empty()) noise = picture_noise_of(seeds, kStreamInitialLatents);
    x = picture.drawn(shape[0], noise);
  }
  if (is_uploaded(options_.random)) {
    const std::vector<float> noise = torch_normal(torch_, shape);
    ITO_TRY(write_inpainting(seeds));
    const bool picture = !x.empty();
    x.resize(noise.size());
    const double mean = picture ? loop_.sampling.solver->rows.front().mean : 0;
    const double std = picture ? loop_.sampling.solver->rows.front().std : loop_.sampling.start_std;
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(mean * x[i] + std * noise[i]);
    return begin_at(x, seeds);
  }
  ITO_TRY(write_inpainting(seeds));
  if (!x.empty()) ITO_TRY(start_->enqueue_write(sampling_ports::kPicture, x));
  ITO_TRY(start_->enqueue_write(sampling_ports::kImage, seeds));
  return start_->run();
}

Status SamplingSession::run_steps(int64_t count, const std::function<bool()>& after_step) {
  const Method& method = *loop_.sampling.method;
  ITO_TRY(reset_states(*step_, method, loop_.shape));
  std::deque<std::pair<int, vk::ReadTicket>> previews;
  const auto before = [&](int done) -> Status {
    const std::optional<Solver>& solver = loop_.sampling.solver;
    if (torch_.empty() || (solver && !solver->uses_noise(static_cast<size_t>(done)))) return {};
    for (int draw = 0; draw < method.draws; ++draw) {
      const auto port = method_ports::kNoise[draw];
      const std::vector<float> noise = torch_normal(torch_, loop_.shape);
      // A draw that no row uses is no input.
      if (step_->has(port)) ITO_TRY(step_->enqueue_write(port, noise));
    }
    return {};
  };
  const auto after = [&](int done) -> Status {
    if (preview_every_ > 0 && done % preview_every_ == 0 && done < method.steps) {
      ITO_ASSIGN(vk::ReadTicket ticket, step_->enqueue_read(solver_ports::kX0));
      previews.emplace_back(done, std::move(ticket));
    }
    ITO_TRY(show_previews(previews, count, /*wait=*/false));
    return go_on(!after_step || after_step(), "sampling");
  };
  ITO_TRY(replay(*step_, loop_.name, method.steps, {.before = before, .after = after}));
  return show_previews(previews, count, /*wait=*/true);
}

// The previews that have arrived; with `wait` all of them.
Status SamplingSession::show_previews(std::deque<std::pair<int, vk::ReadTicket>>& previews,
                                      int64_t count, bool wait) {
  std::vector<float> images(previews.empty() ? 0 : static_cast<size_t>(loop_.shape.numel()));
  while (!previews.empty()) {
    const auto& [step, ticket] = previews.front();
    if (!wait) {
      ITO_ASSIGN(const bool ready, ticket.ready());
      if (!ready) return {};
    }
    ITO_TRY(ticket.read(writable_bytes_of(images)));
    preview_(step, {images.begin(), images.begin() + shape(count).numel()});
    previews.pop_front();
  }
  return {};
}

Result<std::vector<float>> SamplingSession::sample(std::span<const SampleRequest> requests,
                                                   const std::function<bool()>& after_step) {
  return run({}, requests, after_step);
}

Result<std::vector<float>> SamplingSession::sample_from(std::span<const float> x,
                                                        std::span<const SampleRequest> requests,
                                                        const std::function<bool()>& after_step) {
  const size_t row = static_cast<size_t>(loop_.shape.numel() / loop_.shape[0]);
  if (x.size() != requests.size() * row)
    return invalid_argument("{} numbers to begin at were given, expected {} images of {}x{}x{}",
                            x.size(), requests.size(), loop_.shape[1], loop_.shape[2],
                            loop_.shape[3]);
  return run(x, requests, after_step);
}

Result<std::vector<float>> SamplingSession::run(std::span<const float> x,
                                                std::span<const SampleRequest> requests,
                                                const std::function<bool()>& after_step) {
  const int64_t count = static_cast<int64_t>(requests.size());
  if (count < 1 || count > batch())
    return invalid_argument("{} images were asked for in one batch, expected 1 to {}", count,
                            batch());
  // A short batch repeats its last image; the surplus is dropped.
  std::vector<uint32_t> seeds, labels, rows;
  std::vector<float> given;
  const size_t row = x.size() / static_cast<size_t>(count);
  for (int64_t i = 0; i < batch(); ++i) {
    const size_t which = static_cast<size_t>(std::min(i, count - 1));
    const SampleRequest& request = requests[which];
    const auto from = x.subspan(which * row, row);
    given.insert(given.end(), from.begin(), from.end());
    if (loop_.classes > 0 && request.label >= static_cast<uint32_t>(loop_.classes))
      return invalid_argument("class {} does not exist; the model has classes 0 to {}",
                              request.label, loop_.classes - 1);
    seeds.push_back(request.seed);
    labels.push_back(request.label);
    rows.push_back(request.context);
  }
  ITO_TRY(write_conditioning(labels, rows));
  ITO_TRY(start(seeds, std::move(given)));
  if (solver_) {
    ITO_TRY(solver_->solve(loop_.sampling.flow->end, loop_.sampling.to, kMaxFlowEvaluations,
                           after_step));
  } else {
    ITO_TRY(run_steps(count, after_step));
  }
  ITO_ASSIGN(std::vector<float> images,
             solver_ ? solver_->read(flow_ports::kState) : step_->read(sampling_ports::kX));
  if (decoder_) {
    ITO_ASSIGN(images, decoder_->decode_scaled(loop_.shape, images));
  }
  images.resize(static_cast<size_t>(shape(count).numel()));
  return images;
}

}  // namespace ito
