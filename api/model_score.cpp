#include "api/model_score.h"

#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "diffusion/ddgan.h"
#include "diffusion/process.h"
#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "nn/train_step.h"

namespace ito {
namespace {

Status check_network(const Network& network) {
  const Signature& signature = network.signature();
  ITO_TRY(check_session_signature(signature));
  const int64_t in = signature.in_channels, out = signature.out_channels;
  if (!signature.image_out || (out != in && out != 2 * in))
    return unsupported("the network has {} output channels for {} input channels", out, in);
  return {};
}

}  // namespace

NoiseInput noise_input(const Network& network) {
  return network.signature().time == TimeInput::kSigma ? NoiseInput::kSigma : NoiseInput::kTimestep;
}

Status check_session_signature(const Signature& signature) {
  using Kind = ClassInput::Kind;
  if (signature.classes.kind == Kind::kValues || signature.classes.kind == Kind::kEmbeddings)
    return unsupported(
        "the network's class_embed_type wants {} instead of class labels, which is not supported "
        "here",
        signature.classes.kind == Kind::kValues ? "numbers" : "embeddings");
  if (signature.time == TimeInput::kNone || !signature.image_out)
    return unsupported("the network is no denoiser: {}",
                       signature.image_out ? "it is told no time" : "its output is no image");
  if (signature.guidance > 0)
    return unsupported(
        "the network is told an embedded guidance scale (time_cond_proj_dim), which is not "
        "supported here");
  if (signature.context > 0 && signature.context_length == 0)
    return invalid_argument(
        "the network attends to a context: give its states ({} numbers each) with --context FILE",
        signature.context);
  return {};
}

Conditioning session_conditioning(Graph& graph, const Signature& signature, int64_t n) {
  Conditioning conditioning = conditioning_inputs(
      graph, signature, n,
      {.classes = batch_name::kLabels, .context = batch_name::kContext, .latent = nullptr});
  if (signature.latent > 0)
    conditioning.latent =
        ddgan_latent(n, signature.latent, input(graph, sampling_names::kKey, {2}, DType::kU32),
                     input(graph, sampling_names::kImage, {n}, DType::kU32),
                     input(graph, sampling_names::kStep, {}, DType::kU32));
  return conditioning;
}

Denoiser input_denoiser(const Network& network) {
  return [network](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
    return network.build(flat, x, t, session_conditioning(graph, network.signature(), x.dim(0)));
  };
}

namespace {

// Both outputs of one batch of 2n: the conditional half, then the unconditional one.
Denoiser classifier_free_denoiser(const Network& network, const ClassifierFree& guidance) {
  const int rows = network.signature().classes.classes();
  const uint32_t null_class = guidance.null_class.value_or(static_cast<uint32_t>(rows - 1));
  return [network, guidance, null_class](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const int64_t n = x.dim(0);
    const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
    Conditioning conditioning = session_conditioning(graph, network.signature(), n);
    const Tensor none = broadcast_to(reshape(scalar(graph, null_class, DType::kU32), {1}), {n});
    conditioning.classes = concat({conditioning.classes, none}, 0);
    const Tensor both = network.build(flat, concat({x, x}, 0), concat({t, t}, 0), conditioning);
    return classifier_free_guidance(slice_axis(both, 0, 0, n), slice_axis(both, 0, n, 2 * n),
                                    guidance.scale, guidance.rescale);
  };
}

}  // namespace

Status check_classifier_free(const Network& network, const ClassifierFree& guidance) {
  const int classes = network.signature().classes.classes();
  if (classes < 2)
    return invalid_argument(
        "--guidance-scale is for models with classes and a class that stands for none (ito train "
        "--class-dropout), this one has {}",
        classes == 0 ? std::string("no classes") : std::string("one class"));
  if (guidance.null_class.value_or(0) >= static_cast<uint32_t>(classes))
    return invalid_argument("--null-class is {}, the model has classes 0 to {}",
                            *guidance.null_class, classes - 1);
  if (!(guidance.rescale >= 0 && guidance.rescale <= 1))
    return invalid_argument("--guidance-rescale is {}, expected 0 to 1", guidance.rescale);
  return {};
}

Result<DiffusionModel> diffusion_model(const Network& network, const SchedulerConfig& scheduler,
                                       const std::optional<ClassifierFree>& classifier_free) {
  ITO_TRY(check_network(network));
  DiffusionModel model;
  model.config = scheduler;
  model.input = noise_input(network);
  model.generator = network.signature().latent > 0;
  model.output_multiple =
      static_cast<int>(network.signature().out_channels / network.signature().in_channels);
  model.network = input_denoiser(network);
  if (classifier_free) {
    ITO_TRY(check_classifier_free(network, *classifier_free));
    model.network = classifier_free_denoiser(network, *classifier_free);
  }
  return model;
}

Result<ProbabilityFlow> density_flow(const Network& network, const SchedulerConfig& scheduler) {
  ITO_ASSIGN(const DiffusionModel model, diffusion_model(network, scheduler));
  if (scheduler.process == ProcessKind::kDiscrete) {
    ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(scheduler));
    ITO_ASSIGN(const Prediction prediction, prediction_from_name(scheduler.prediction_type));
    if (model.input == NoiseInput::kSigma)
      return unsupported("process {}: a network that is told sigma needs a score model's scheduler",
                         process_name(scheduler.process));
    return probability_flow(schedule, prediction, model.network);
  }
  ITO_ASSIGN(const ScoreModel score, model_score(model));
  ProbabilityFlow flow = probability_flow(score.sde, score.score);
  if (is_continuous(scheduler.process)) flow.start = sampling_end(scheduler);
  return flow;
}

}  // namespace ito
