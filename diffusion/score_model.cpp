#include "diffusion/score_model.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/probability_flow.h"
#include "graph/builder.h"

namespace ito {

namespace {

Status check_edm(const SchedulerConfig& config) {
  if (!(config.sigma_data > 0) || !std::isfinite(config.sigma_data))
    return invalid_argument("sigma_data is {}, expected a positive number", config.sigma_data);
  if (config.prediction_type != "epsilon" && config.prediction_type != "v_prediction")
    return unsupported("EDM with prediction_type \"{}\": expected epsilon or v_prediction",
                       config.prediction_type);
  return {};
}

}  // namespace

Result<Sde> scheduler_sde(const SchedulerConfig& config) {
  Sde sde;
  switch (config.process) {
    case ProcessKind::kVe:
      sde.kind = Sde::Kind::kVe;
      break;
    case ProcessKind::kVp:
      sde.kind = Sde::Kind::kVp;
      break;
    case ProcessKind::kSubVp:
      sde.kind = Sde::Kind::kSubVp;
      break;
    case ProcessKind::kEdm:
      sde.kind = Sde::Kind::kEdm;
      ITO_TRY(check_edm(config));
      break;
    case ProcessKind::kDiscrete:
    case ProcessKind::kFlow:
    case ProcessKind::kConsistency:
      return unsupported(
          "the model's scheduler is of no SDE: expected one of VE, VP, sub-VP or EDM");
  }
  sde.sigma_min = config.sigma_min;
  sde.sigma_max = config.sigma_max;
  sde.beta_min = config.beta_min;
  sde.beta_max = config.beta_max;
  ITO_TRY(check_sde(sde));
  return sde;
}

double sampling_end(const SchedulerConfig& config) {
  return config.process == ProcessKind::kEdm ? config.sigma_min : config.sampling_eps;
}

EdmDenoiser scheduler_denoiser(Denoiser network, const SchedulerConfig& config) {
  const EdmPreconditioning preconditioning{.sigma_data = config.sigma_data};
  if (config.prediction_type == "epsilon") return edm_denoiser(std::move(network), preconditioning);
  return edm_denoiser(
      [network = std::move(network)](Tensor x, Tensor c_noise) { return -network(x, c_noise); },
      preconditioning);
}

ScoreFunction network_score(Denoiser network, NoiseInput input, const SchedulerConfig& config) {
  const Sde sde = std::move(scheduler_sde(config)).value();
  if (sde.kind == Sde::Kind::kEdm)
    return score_of_denoiser(scheduler_denoiser(std::move(network), config));
  const double last_timestep = config.num_train_timesteps - 1;
  return [network = std::move(network), input, sde, last_timestep](Tensor x, Tensor t) {
    const Tensor std = sde.std(t);
    if (input == NoiseInput::kSigma) return network(x, std);
    return -network(x, t * last_timestep) / per_image(std, x.rank());
  };
}

Result<ScoreModel> chain_score(const NoiseSchedule& schedule, Prediction prediction,
                               Denoiser denoiser) {
  ITO_ASSIGN(const ProbabilityFlow flow,
             probability_flow(schedule, prediction, std::move(denoiser)));
  const Sde sde;  // VP with the rates of Song et al. 2021
  return ScoreModel{.sde = sde, .score = [sde, score = flow.score](Tensor x, Tensor t) {
                      // The flow's time is minus the log-SNR.
                      return score(x, log(sde.std(t) / sde.mean(t)) * 2.0);
                    }};
}

ScoreFunction clipped_score(const Sde& sde, ScoreFunction score, double range) {
  return [sde, score = std::move(score), range](Tensor x, Tensor t) {
    const Tensor s = score(x, t);
    const Tensor mean = per_image(sde.mean(t), x.rank());
    const Tensor variance = per_image(square(sde.std(t)), x.rank());
    const Tensor clean = (x + variance * s) / mean;
    return s + mean / variance * (clamp(clean, -range, range) - clean);
  };
}

Result<ScoreModel> edm_coordinates(const ScoreModel& model, double end_time) {
  const Sde& sde = model.sde;
  if (!(end_time > 0 && end_time < sde.end()))
    return invalid_argument("end_time is {}, expected a time between 0 and {}", end_time,
                            sde.end());
  if (sde.kind == Sde::Kind::kEdm) {
    Sde shorter = sde;
    shorter.sigma_min = end_time;
    return ScoreModel{.sde = shorter, .score = model.score};
  }
  const auto sigma = [&](double t) { return sde.std(t) / sde.mean(t); };
  return ScoreModel{
      .sde = {.kind = Sde::Kind::kEdm, .sigma_min = sigma(end_time), .sigma_max = sigma(sde.end())},
      .score = [sde, score = model.score](Tensor x, Tensor sigmas) {
        const Tensor t = sde.time_of(sigmas);
        const Tensor mean = per_image(sde.mean(t), x.rank());
        return mean * score(mean * x, t);
      }};
}

Result<ScoreModel> noise_coordinates(const ScoreModel& model, double end_time) {
  if (model.sde.mean(model.sde.end()) == 1) return model;
  return edm_coordinates(model, end_time);
}

Tensor ladder_time(Tensor level, int64_t levels) {
  CHECK(levels >= 2, "a ladder has at least two noise levels");
  return cast(level, DType::kF32) / static_cast<double>(levels - 1);
}

}  // namespace ito
