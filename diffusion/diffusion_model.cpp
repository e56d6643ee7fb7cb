#include "diffusion/diffusion_model.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "diffusion/edm.h"
#include "diffusion/process.h"
#include "diffusion/schedule.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr int kChainTimesteps = 1000;
// Of a straight path's noise where it begins: at 1 nothing is left of the image, and the ratio of
// noise to signal is infinite.
constexpr double kFlowEnd = 0.999;

ScoreFunction guided(const DiffusionModel& model, const Sde& sde, ScoreFunction score) {
  if (!model.guidance) return score;
  return guided_score(std::move(score), model.guidance(sde_marginal(sde)), model.guidance_scale);
}

Result<ScoreModel> discrete_score(const DiffusionModel& model, bool clip) {
  if (model.input == NoiseInput::kSigma)
    return unsupported("process {}: a network that is told sigma needs a score model's scheduler",
                       process_name(model.config.process));
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(model.config));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(model.config.prediction_type));
  ITO_ASSIGN(ScoreModel result, chain_score(schedule, prediction, model.network));
  if (clip && model.config.clip_sample)
    result.score =
        clipped_score(result.sde, std::move(result.score), model.config.clip_sample_range);
  return result;
}

// At x_t = m x_0 + std ε the straight path has x_t/(m + std), s = std/(m + std) and is told s T; of
// the velocity ε - x_0 there, ε = x/(…) + (1 - s) v.
ScoreModel flow_score(const DiffusionModel& model) {
  const Sde sde;  // VP with the rates of Song et al. 2021
  const double timesteps = model.config.num_train_timesteps;
  return {.sde = sde, .score = [sde, timesteps, network = model.network](Tensor x, Tensor t) {
            const Tensor mean = sde.mean(t), std = sde.std(t), sum = mean + std;
            const Tensor s = std / sum;
            const Tensor path = x / per_image(sum, x.rank());
            const Tensor velocity = network(path, s * timesteps);
            const Tensor epsilon = path + per_image(1.0 - s, x.rank()) * velocity;
            return -(epsilon / per_image(std, x.rank()));
          }};
}

// ∇ ln p(x; σ) of the model in EDM's coordinates from its own end to its own start.
Result<ScoreModel> edm_view(const DiffusionModel& model) {
  ITO_ASSIGN(const ScoreModel score, model_score(model));
  const double end =
      is_continuous(model.config.process) ? sampling_end(model.config) : score.sde.start();
  return edm_coordinates(score, end);
}

// Timestep i has σ in geometric progression, which is what a multistep solver in log-SNR steps
// evenly through.
DiffusionModel chain_of(const ScoreModel& edm, const SchedulerConfig& config) {
  const double low = std::log(edm.sde.sigma_min), high = std::log(edm.sde.sigma_max);
  const double gap = (high - low) / (kChainTimesteps - 1);
  std::vector<double> betas;
  double before = 1;
  for (int i = 0; i < kChainTimesteps; ++i) {
    const double sigma = std::exp(low + gap * i), alpha_bar = 1 / (1 + sigma * sigma);
    betas.push_back(1 - alpha_bar / before);
    before = alpha_bar;
  }
  DiffusionModel chain;
  chain.config.extra = config.extra;
  chain.config.num_train_timesteps = kChainTimesteps;
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

// F = (D - c_skip x)/c_out at x = input/c_in, D = x + σ² s.
DiffusionModel edm_of(const ScoreModel& edm) {
  DiffusionModel model;
  model.config.process = ProcessKind::kEdm;
  model.config.sampler = "edm-euler";
  model.config.clip_sample = false;
  model.config.sigma_min = edm.sde.sigma_min;
  model.config.sigma_max = edm.sde.sigma_max;
  const EdmPreconditioning preconditioning{.sigma_data = model.config.sigma_data};
  model.network = [score = edm.score, preconditioning](Tensor scaled, Tensor c_noise) {
    const Tensor sigma = exp(c_noise * 4.0);
    const auto factor = [&](Tensor value) { return per_image(value, scaled.rank()); };
    const Tensor x = scaled / factor(preconditioning.c_in(sigma));
    const Tensor denoised = x + factor(square(sigma)) * score(x, sigma);
    return (denoised - factor(preconditioning.c_skip(sigma)) * x) /
           factor(preconditioning.c_out(sigma));
  };
  return model;
}

// At s = t/T: σ = s/(1 - s), x = path/(1 - s), ε = -σ score, x_0 = x - σ ε.
DiffusionModel flow_of(const ScoreModel& edm) {
  DiffusionModel model;
  model.config.process = ProcessKind::kFlow;
  model.config.sampler = "flow-euler";
  model.config.prediction_type = "flow_prediction";
  model.config.clip_sample = false;
  const double timesteps = model.config.num_train_timesteps;
  const double least = edm.sde.sigma_min;
  model.network = [score = edm.score, timesteps, least](Tensor path, Tensor t) {
    Graph& graph = path.graph();
    const Tensor s = minimum(t / timesteps, scalar(graph, kFlowEnd)), rest = 1.0 - s;
    const Tensor sigma = maximum(s / rest, scalar(graph, least));
    const Tensor x = path / per_image(rest, path.rank());
    const Tensor epsilon = -(per_image(sigma, path.rank()) * score(x, sigma));
    return epsilon - (x - per_image(sigma, path.rank()) * epsilon);
  };
  return model;
}

}  // namespace

Result<ScoreModel> model_score(const DiffusionModel& model, bool clip) {
  ScoreModel result;
  switch (model.config.process) {
    case ProcessKind::kDiscrete: {
      ITO_ASSIGN(result, discrete_score(model, clip));
      break;
    }
    case ProcessKind::kFlow:
      result = flow_score(model);
      break;
    case ProcessKind::kConsistency:
      return unsupported("a consistency model has no score; expected --sampler consistency");
    case ProcessKind::kVe:
    case ProcessKind::kVp:
    case ProcessKind::kSubVp:
    case ProcessKind::kEdm: {
      ITO_ASSIGN(const Sde sde, scheduler_sde(model.config));
      if (sde.kind == Sde::Kind::kEdm && model.input == NoiseInput::kSigma)
        return unsupported(
            "process edm: a network that is told sigma, expected one told ln(sigma)/4");
      result = {.sde = sde, .score = network_score(model.network, model.input, model.config)};
    }
  }
  result.score = guided(model, result.sde, std::move(result.score));
  return result;
}

Result<DiffusionModel> as_process(const DiffusionModel& model, ProcessKind process) {
  if (model.config.process == process) return model;
  if (process == ProcessKind::kDiscrete || process == ProcessKind::kEdm ||
      process == ProcessKind::kFlow) {
    ITO_ASSIGN(const ScoreModel edm, edm_view(model));
    if (process == ProcessKind::kDiscrete) return chain_of(edm, model.config);
    return process == ProcessKind::kEdm ? edm_of(edm) : flow_of(edm);
  }
  return invalid_argument("the sampler is for models of the process {}, found one of {}",
                          process_name(process), process_name(model.config.process));
}

Result<Denoiser> native_network(const DiffusionModel& model) {
  if (!model.guidance) return model.network;
  if (model.config.process != ProcessKind::kDiscrete)
    return unsupported("guidance by a classifier of a model of {} needs a sampler of its score",
                       process_name(model.config.process));
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(model.config));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(model.config.prediction_type));
  const MarginalFunction marginal = schedule_marginal(schedule);
  return guided_denoiser(model.network, prediction, marginal, model.guidance(marginal),
                         model.guidance_scale);
}

}  // namespace ito
