// EDM's process, noise of deviation t at time t (Karras et al. 2022), whose networks are F of its
// preconditioning (diffusion/edm.h).
#include "diffusion/edm.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/processes/rows.h"
#include "graph/builder.h"

namespace ito {
namespace {

Result<Sde> sde(const SchedulerConfig& config) {
  if (!(config.sigma_data > 0) || !std::isfinite(config.sigma_data))
    return invalid_argument("sigma_data is {}, expected a positive number", config.sigma_data);
  ITO_TRY(edm_output_sign(config));
  Sde sde{.kind = Sde::Kind::kEdm};
  sde.sigma_min = config.sigma_min;
  sde.sigma_max = config.sigma_max;
  sde.beta_min = config.beta_min;
  sde.beta_max = config.beta_max;
  ITO_TRY(check_sde(sde));
  return sde;
}

ScoreFunction score_of_f(Denoiser network, NoiseInput, const SchedulerConfig& config) {
  return score_of_denoiser(scheduler_denoiser(std::move(network), config));
}

Result<ScoreModel> edm_score(const DiffusionModel& model, bool) {
  ITO_ASSIGN(const Sde process, scheduler_sde(model.config));
  ITO_TRY(check_noise_input(model.input, NoiseInput::kTimestep,
                            "process edm: a network that is told sigma, expected one told "
                            "ln(sigma)/4"));
  return ScoreModel{.sde = process,
                    .score = score_of_f(model.network, model.input, model.config),
                    .end = model.config.sigma_min};
}

// F = (D - c_skip x)/c_out at x = input/c_in, D = x + σ² s.
DiffusionModel edm_from_edm(const ScoreModel& edm, const SchedulerConfig&) {
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

}  // namespace

ProcessRow edm_process() {
  return {.name = {"edm", "noise of deviation t at time t, EDM's preconditioning",
                   "Karras et al. 2022", ""},
          .kind = ProcessKind::kEdm,
          .sde = sde,
          .sampling_end = [](const SchedulerConfig& config) { return config.sigma_min; },
          .network_score = score_of_f,
          .score = edm_score,
          .from_edm = edm_from_edm,
          .predicts = false};
}

}  // namespace ito
