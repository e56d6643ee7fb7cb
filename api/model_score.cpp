#include "api/model_score.h"

#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "diffusion/ddgan.h"
#include "diffusion/process.h"
#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "nn/ddgan.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

Status check_network(const UNet2DConfig& unet) {
  if (unet.class_embed_type)
    return unsupported("class_embed_type \"{}\" is not supported here", *unet.class_embed_type);
  if (unet.out_channels != unet.in_channels && unet.out_channels != 2 * unet.in_channels)
    return unsupported("the network has {} output channels for {} input channels",
                       unet.out_channels, unet.in_channels);
  return {};
}

// The prediction and the schedule of a model that is no score model.
struct ChainModel {
  NoiseSchedule schedule;
  Prediction prediction;
};
Result<ChainModel> chain_model(const UNet2DConfig& unet, const SchedulerConfig& scheduler) {
  if (takes_sigma(unet))
    return unsupported("process {}: a network that is told sigma needs a score model's scheduler",
                       process_name(scheduler.process));
  ChainModel model;
  ITO_ASSIGN(model.schedule, make_schedule(scheduler));
  ITO_ASSIGN(model.prediction, prediction_from_name(scheduler.prediction_type));
  return model;
}

}  // namespace

NoiseInput noise_input(const UNet2DConfig& unet) {
  return takes_sigma(unet) ? NoiseInput::kSigma : NoiseInput::kTimestep;
}

int class_count(const UNet2DConfig& unet, const ParameterSet& set) {
  const auto latent = latent_mapping_of(set);
  return latent ? static_cast<int>(latent->classes) : unet.num_class_embeds.value_or(0);
}

Denoiser input_denoiser(const UNet2DConfig& unet, const ParameterSet& set) {
  return [unet, &set](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const int64_t n = x.dim(0);
    const Scope scope(set, input(graph, state_name::kParameters, {set.size()}));
    Tensor labels;
    if (class_count(unet, set) > 0) labels = input(graph, batch_name::kLabels, {n}, DType::kU32);
    const auto latent = latent_mapping_of(set);
    if (!latent) return unet2d(scope, unet, x, t, labels);
    const Tensor z =
        ddgan_latent(n, latent->latent, input(graph, sampling_names::kKey, {2}, DType::kU32),
                     input(graph, sampling_names::kImage, {n}, DType::kU32),
                     input(graph, sampling_names::kStep, {}, DType::kU32));
    return ddgan_generator(scope, unet, *latent, x, t, z, labels);
  };
}

Result<ScoreModel> unet_score(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                              const ParameterSet& set) {
  ITO_TRY(check_network(unet));
  const Denoiser network = input_denoiser(unet, set);
  if (is_continuous(scheduler.process)) {
    ITO_ASSIGN(const Sde sde, scheduler_sde(scheduler));
    if (sde.kind == Sde::Kind::kEdm && takes_sigma(unet))
      return unsupported(
          "process edm: a network that is told sigma, expected one told ln(sigma)/4");
    return ScoreModel{.sde = sde, .score = network_score(network, noise_input(unet), scheduler)};
  }
  ITO_ASSIGN(const ChainModel chain, chain_model(unet, scheduler));
  ITO_ASSIGN(ScoreModel model, chain_score(chain.schedule, chain.prediction, network));
  if (scheduler.clip_sample)
    model.score = clipped_score(model.sde, std::move(model.score), scheduler.clip_sample_range);
  return model;
}

Result<ProbabilityFlow> sampling_flow(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                                      const ParameterSet& set) {
  ITO_ASSIGN(const ScoreModel model, unet_score(unet, scheduler, set));
  ProbabilityFlow flow = probability_flow(model.sde, model.score);
  if (is_continuous(scheduler.process)) flow.start = sampling_end(scheduler);
  return flow;
}

Result<ProbabilityFlow> unet_flow(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                                  const ParameterSet& set) {
  if (is_continuous(scheduler.process)) return sampling_flow(unet, scheduler, set);
  ITO_TRY(check_network(unet));
  ITO_ASSIGN(const ChainModel chain, chain_model(unet, scheduler));
  return probability_flow(chain.schedule, chain.prediction, input_denoiser(unet, set));
}

}  // namespace ito
