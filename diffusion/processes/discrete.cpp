// The variance-preserving chain of betas (diffusion/schedule.h): its networks predict at whole
// timesteps. As a score it is asked where it has the noise of a VP SDE (chain_score).
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/processes/rows.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr int kTimesteps = 1000;  // of a chain that another process is seen as
// Its least σ: of a smaller one 1 - β would be 1 in float32, in which schedules are held.
constexpr double kLeastSigma = 0.002;

Status check_told(const DiffusionModel& model) {
  return check_noise_input(model.input, NoiseInput::kTimestep,
                           "process discrete: a network that is told sigma needs a score model's "
                           "scheduler");
}

Result<ScoreModel> discrete_score(const DiffusionModel& model, bool clip) {
  ITO_TRY(check_told(model));
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(model.config));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(model.config.prediction_type));
  ITO_ASSIGN(ScoreModel result, chain_score(schedule, prediction, model.network));
  if (clip && model.config.clip_sample)
    result.score =
        clipped_score(result.sde, std::move(result.score), model.config.clip_sample_range);
  return result;
}

// In the chain's own log-SNR, nothing clipped.
Result<ProbabilityFlow> flow(const DiffusionModel& model) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(model.config));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(model.config.prediction_type));
  ITO_TRY(check_told(model));
  return probability_flow(schedule, prediction, model.network);
}

// Timestep i has σ in geometric progression, which is what a multistep solver in log-SNR steps
// evenly through.
DiffusionModel discrete_from_edm(const ScoreModel& edm, const SchedulerConfig& config) {
  const double low = std::log(std::max(edm.sde.sigma_min, kLeastSigma));
  const double high = std::log(edm.sde.sigma_max);
  const double gap = (high - low) / (kTimesteps - 1);
  std::vector<double> betas;
  double before = 1;
  for (int i = 0; i < kTimesteps; ++i) {
    const double sigma = std::exp(low + gap * i), alpha_bar = 1 / (1 + sigma * sigma);
    betas.push_back(1 - alpha_bar / before);
    before = alpha_bar;
  }
  DiffusionModel chain;
  chain.config.extra = config.extra;
  chain.config.num_train_timesteps = kTimesteps;
  chain.config.trained_betas = std::move(betas);
  chain.config.clip_sample = false;
  // Begins at the most noise, and DDIM visits the timesteps that it steps to.
  chain.config.timestep_spacing = "trailing";
  chain.network = [score = edm.score, low, gap](Tensor x, Tensor t) {
    const Tensor sigma = exp(t * gap + low);
    const Tensor scale = per_image(sqrt(square(sigma) + 1.0), x.rank());
    return -(per_image(sigma, x.rank()) * score(x * scale, sigma));
  };
  return chain;
}

Result<Denoiser> guided_network(const DiffusionModel& model) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(model.config));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(model.config.prediction_type));
  const MarginalFunction marginal = schedule_marginal(schedule);
  return guided_denoiser(model.network, prediction, marginal, model.guidance(marginal),
                         model.guidance_scale);
}

}  // namespace

ProcessRow discrete_process() {
  return {.name = {"discrete", "the variance-preserving chain of betas", "Ho et al. 2020, eq. 2",
                   "ddpm"},
          .kind = ProcessKind::kDiscrete,
          .score = discrete_score,
          .from_edm = discrete_from_edm,
          .flow = flow,
          .guided_network = guided_network,
          .schedule = make_schedule};
}

}  // namespace ito
