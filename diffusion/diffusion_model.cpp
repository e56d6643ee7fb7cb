#include "diffusion/diffusion_model.h"

#include <utility>

#include "base/error.h"
#include "diffusion/process.h"

namespace ito {
namespace {

ScoreFunction guided(const DiffusionModel& model, const Sde& sde, ScoreFunction score) {
  if (!model.guidance) return score;
  return guided_score(std::move(score), model.guidance(sde_marginal(sde)), model.guidance_scale);
}

// ∇ ln p(x; σ) of the model in EDM's coordinates from its own end to its own start.
Result<ScoreModel> edm_view(const DiffusionModel& model) {
  ITO_ASSIGN(const ScoreModel score, model_score(model));
  return edm_coordinates(score, score.ends_at());
}

}  // namespace

Status check_density(bool generator) {
  if (!generator) return {};
  return unsupported(
      "the model is a GAN's generator, which gives pictures of a latent and has neither a score "
      "nor a density");
}

Result<ScoreModel> model_score(const DiffusionModel& model, bool clip) {
  ITO_TRY(check_density(model.generator));
  ITO_ASSIGN(ScoreModel result, process_row(model.config.process).score(model, clip));
  result.score = guided(model, result.sde, std::move(result.score));
  return result;
}

Result<DiffusionModel> as_process(const DiffusionModel& model, ProcessKind process) {
  if (model.config.process == process) return model;
  const ProcessRow& row = process_row(process);
  if (row.from_edm == nullptr)
    return invalid_argument("the sampler is for models of the process {}, found one of {}",
                            row.name.name, process_name(model.config.process));
  ITO_ASSIGN(const ScoreModel edm, edm_view(model));
  return row.from_edm(edm, model.config);
}

Result<Denoiser> native_network(const DiffusionModel& model) {
  if (!model.guidance) return model.network;
  const ProcessRow& row = process_row(model.config.process);
  if (row.guided_network != nullptr) return row.guided_network(model);
  return unsupported("guidance by a classifier of a model of {} needs a sampler of its score",
                     row.name.name);
}

Result<ProbabilityFlow> density_flow(const DiffusionModel& model) {
  ITO_TRY(check_density(model.generator));
  const ProcessRow& row = process_row(model.config.process);
  if (row.flow != nullptr) return row.flow(model);
  ITO_ASSIGN(const ScoreModel score, model_score(model));
  ProbabilityFlow flow = probability_flow(score.sde, score.score);
  flow.start = score.ends_at();
  return flow;
}

}  // namespace ito
