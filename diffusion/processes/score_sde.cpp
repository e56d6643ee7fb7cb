// The SDEs of Song et al. 2021 (diffusion/sde.h): VE, VP and sub-VP, whose networks give a score,
// or the noise where they are told a timestep.
#include <algorithm>
#include <utility>

#include "diffusion/diffusion_model.h"
#include "diffusion/processes/rows.h"
#include "graph/builder.h"

namespace ito {
namespace {

template <Sde::Kind kKind>
Result<Sde> sde_of(const SchedulerConfig& config) {
  Sde sde{.kind = kKind};
  sde.sigma_min = config.sigma_min;
  sde.sigma_max = config.sigma_max;
  sde.beta_min = config.beta_min;
  sde.beta_max = config.beta_max;
  ITO_TRY(check_sde(sde));
  return sde;
}

// How the output becomes the score, by NoiseInput.
ScoreFunction told_timestep(Denoiser network, const Sde& sde, double last_timestep) {
  return [network = std::move(network), sde, last_timestep](Tensor x, Tensor t) {
    const Tensor std = sde.std(t);
    return -network(x, t * last_timestep) / per_image(std, x.rank());
  };
}
ScoreFunction told_sigma(Denoiser network, const Sde& sde, double) {
  return [network = std::move(network), sde](Tensor x, Tensor t) { return network(x, sde.std(t)); };
}

ScoreFunction score_of(Denoiser network, NoiseInput input, const SchedulerConfig& config) {
  const Sde sde = std::move(scheduler_sde(config)).value();
  const auto score = by_noise_input(input, told_timestep, told_sigma);
  return score(std::move(network), sde, config.num_train_timesteps - 1);
}

Result<ScoreModel> sde_score(const DiffusionModel& model, bool) {
  ITO_ASSIGN(const Sde sde, scheduler_sde(model.config));
  return ScoreModel{.sde = sde,
                    .score = score_of(model.network, model.input, model.config),
                    .end = model.config.sampling_eps};
}

ProcessRow sde_process(Name name, ProcessKind kind, Result<Sde> (*sde)(const SchedulerConfig&)) {
  return {.name = name,
          .kind = kind,
          .sde = sde,
          .sampling_end = [](const SchedulerConfig& config) { return config.sampling_eps; },
          .network_score = score_of,
          .score = sde_score,
          .predicts = false};
}

}  // namespace

ProcessRow ve_process() {
  ProcessRow row = sde_process({"ve", "variance-exploding SDE", "Song et al. 2021, eq. 9", "smld"},
                               ProcessKind::kVe, sde_of<Sde::Kind::kVe>);
  row.corrector = [](const SchedulerConfig& config) {
    return CorrectorNumbers{.snr = config.snr, .moves = std::max(config.correct_steps, 1)};
  };
  return row;
}

ProcessRow vp_process() {
  return sde_process({"vp", "variance-preserving SDE", "Song et al. 2021, eq. 11", ""},
                     ProcessKind::kVp, sde_of<Sde::Kind::kVp>);
}

ProcessRow subvp_process() {
  return sde_process({"subvp", "sub-variance-preserving SDE", "Song et al. 2021, eq. 12", "sub-vp"},
                     ProcessKind::kSubVp, sde_of<Sde::Kind::kSubVp>);
}

}  // namespace ito
