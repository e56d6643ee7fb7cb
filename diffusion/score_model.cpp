#include "diffusion/score_model.h"

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/probability_flow.h"
#include "graph/builder.h"

namespace ito {

Result<Sde> scheduler_sde(const SchedulerConfig& config) {
  Sde sde;
  if (config.class_name == "ScoreSdeVeScheduler") {
    sde.kind = Sde::Kind::kVe;
  } else if (config.class_name == "ScoreSdeVpScheduler") {
    sde.kind = Sde::Kind::kVp;
  } else if (config.class_name == "ScoreSdeSubVpScheduler") {
    sde.kind = Sde::Kind::kSubVp;
  } else {
    return unsupported(
        "scheduler class {}: expected ScoreSdeVeScheduler, ScoreSdeVpScheduler or "
        "ScoreSdeSubVpScheduler",
        config.class_name);
  }
  sde.sigma_min = config.sigma_min;
  sde.sigma_max = config.sigma_max;
  sde.beta_min = config.beta_min;
  sde.beta_max = config.beta_max;
  ITO_TRY(check_sde(sde));
  return sde;
}

ScoreFunction network_score(Denoiser network, NoiseInput input, const SchedulerConfig& config) {
  const Sde sde = std::move(scheduler_sde(config)).value();
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

Tensor ladder_time(Tensor level, int64_t levels) {
  CHECK(levels >= 2, "a ladder has at least two noise levels");
  return cast(level, DType::kF32) / static_cast<double>(levels - 1);
}

}  // namespace ito
