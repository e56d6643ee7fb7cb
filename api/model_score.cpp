#include "api/model_score.h"

#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "diffusion/ddgan.h"
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

// The prediction and the schedule of a model that is no score model.
struct ChainModel {
  NoiseSchedule schedule;
  Prediction prediction;
};
Result<ChainModel> chain_model(const Network& network, const SchedulerConfig& scheduler) {
  if (network.signature().time == TimeInput::kSigma)
    return unsupported("scheduler {}: a network that is told sigma needs a score model's scheduler",
                       scheduler.class_name);
  ChainModel model;
  ITO_ASSIGN(model.schedule, make_schedule(scheduler));
  ITO_ASSIGN(model.prediction, prediction_from_name(scheduler.prediction_type));
  return model;
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
    const Tensor flat = input(graph, state_name::kParameters, {network.set().size()});
    return network.build(flat, x, t, session_conditioning(graph, network.signature(), x.dim(0)));
  };
}

Result<ScoreModel> network_score_model(const Network& network, const SchedulerConfig& scheduler) {
  ITO_TRY(check_network(network));
  const Denoiser denoiser = input_denoiser(network);
  if (is_score_scheduler(scheduler.class_name)) {
    ITO_ASSIGN(const Sde sde, scheduler_sde(scheduler));
    if (sde.kind == Sde::Kind::kEdm && noise_input(network) == NoiseInput::kSigma)
      return unsupported(
          "scheduler {}: a network that is told sigma, expected one told ln(sigma)/4",
          scheduler.class_name);
    return ScoreModel{.sde = sde,
                      .score = network_score(denoiser, noise_input(network), scheduler)};
  }
  ITO_ASSIGN(const ChainModel chain, chain_model(network, scheduler));
  ITO_ASSIGN(ScoreModel model, chain_score(chain.schedule, chain.prediction, denoiser));
  if (scheduler.clip_sample)
    model.score = clipped_score(model.sde, std::move(model.score), scheduler.clip_sample_range);
  return model;
}

Result<ProbabilityFlow> sampling_flow(const Network& network, const SchedulerConfig& scheduler) {
  ITO_ASSIGN(const ScoreModel model, network_score_model(network, scheduler));
  ProbabilityFlow flow = probability_flow(model.sde, model.score);
  if (is_score_scheduler(scheduler.class_name)) flow.start = sampling_end(scheduler);
  return flow;
}

Result<ProbabilityFlow> density_flow(const Network& network, const SchedulerConfig& scheduler) {
  if (is_score_scheduler(scheduler.class_name)) return sampling_flow(network, scheduler);
  ITO_TRY(check_network(network));
  ITO_ASSIGN(const ChainModel chain, chain_model(network, scheduler));
  return probability_flow(chain.schedule, chain.prediction, input_denoiser(network));
}

}  // namespace ito
