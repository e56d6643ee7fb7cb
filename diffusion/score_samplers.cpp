// The samplers that see a model as the score of an SDE: predictor-corrector methods, annealed
// Langevin dynamics, the probability flow, and EDM's own.
#include <utility>

#include "base/error.h"
#include "diffusion/annealed_langevin.h"
#include "diffusion/choices.h"
#include "diffusion/edm_sampler.h"
#include "diffusion/marginal.h"
#include "diffusion/noise_ladder.h"
#include "diffusion/predictor_corrector.h"
#include "diffusion/process.h"
#include "diffusion/sampling.h"

namespace ito {
namespace {

constexpr int kSdeSteps = 500, kEdmSteps = 18;
constexpr int kStepsPerLevel = 5;      // NCSNv2's for small images
constexpr double kNcsnEpsilon = 2e-5;  // Song & Ermon 2019, section 5
constexpr int kNcsnStepsPerLevel = 100;

struct AnnealedFormRow {
  Name name;
  AnnealedForm form;
  int steps_per_level;
  double most;     // ε/σ_L² from where on Langevin steps diverge
  double epsilon;  // unless asked for; 0: by the ladder
  bool own_steps;  // its steps are no corrector's, so that it needs a ladder and knows no snr
};
constexpr AnnealedFormRow kAnnealedForms[] = {
    // A step is a contraction on N(0, σ²), than which no p_σ is narrower, while its factor
    // 1 - α/σ² (NCSN: 1 - α/(2σ²)) is above -1.
    {{"ncsnv2", "steps of size α_i", "Song & Ermon 2020, algorithm 1", ""},
     AnnealedForm::kNcsnV2,
     kStepsPerLevel,
     2,
     0,
     false},
    {{"ncsn", "steps of size α_i/2", "Song & Ermon 2019, algorithm 1", ""},
     AnnealedForm::kNcsn,
     kNcsnStepsPerLevel,
     4,
     kNcsnEpsilon,
     true},
};
Result<const AnnealedFormRow*> annealed_form(const SamplerOptions& options) {
  return row_called(std::span<const AnnealedFormRow>(kAnnealedForms), options.ald_form,
                    "--ald-form");
}

// When sampling ends: as asked, or as the model says, or 0.
double end_time(const ScoreModel& model, const SamplerOptions& options) {
  return options.eps > 0 ? options.eps : model.end;
}

CorrectorNumbers corrector_numbers(const SchedulerConfig& config) {
  const auto of = process_row(config.process).corrector;
  return of == nullptr ? CorrectorNumbers{} : of(config);
}

Result<Sampling> of_method(Result<Method> method, const Sde& sde) {
  ITO_ASSIGN(Method made, std::move(method));
  Sampling sampling;
  sampling.method = std::move(made);
  sampling.start_std = sde.prior_std();
  return sampling;
}

Result<Sampling> predictor_corrector_sampling(const ScoreModel& model,
                                              const SchedulerConfig& config,
                                              const SamplerOptions& options, Predictor predictor,
                                              Corrector corrector, int moves) {
  PredictorCorrectorOptions pc;
  pc.predictor = predictor;
  pc.corrector = corrector;
  pc.steps = options.steps;
  pc.snr = options.snr > 0 ? options.snr : corrector_numbers(config).snr;
  pc.corrector_steps = options.corrector_steps > 0 ? options.corrector_steps : moves;
  pc.end_time = end_time(model, options);
  pc.denoise = options.denoise;
  return of_method(predictor_corrector(model.sde, model.score, pc), model.sde);
}

template <Predictor kPredictor>
Result<Sampling> predictor_alone(const ScoreModel& model, const SchedulerConfig& config,
                                 const SamplerOptions& options) {
  return predictor_corrector_sampling(model, config, options, kPredictor, Corrector::kNone, 1);
}

Result<Sampling> pc(const ScoreModel& model, const SchedulerConfig& config,
                    const SamplerOptions& options) {
  ITO_ASSIGN(const Predictor predictor, predictor_from_name(options.predictor));
  ITO_ASSIGN(const Corrector corrector, corrector_from_name(options.corrector));
  return predictor_corrector_sampling(model, config, options, predictor, corrector,
                                      corrector_numbers(config).moves);
}

Result<double> ladder_epsilon(const std::vector<double>& sigmas, int steps_per_level,
                              const AnnealedFormRow& form, const SamplerOptions& options) {
  const double variance = sigmas.back() * sigmas.back(), most = form.most * variance;
  double epsilon = options.epsilon;
  if (epsilon == 0 && options.snr > 0) epsilon = 2 * options.snr * options.snr * variance;
  if (epsilon == 0) epsilon = form.epsilon;
  if (epsilon == 0) epsilon = ladder_step_size(sigmas, steps_per_level);
  if (epsilon < most) return epsilon;
  return invalid_argument(
      "epsilon is {:.3g}, expected less than {:.3g} ({} times sigma_min squared), from where on "
      "Langevin steps diverge",
      epsilon, most, form.most);
}

// On a geometric ladder, in the coordinates x/mean in which every process here only adds noise:
// levels even in t, as a VP model's own time would give, fall by ten from the second to last to the
// last one, where five moves leave the rest of the noise in the image.
Result<Sampling> ald(const ScoreModel& model, const SchedulerConfig&,
                     const SamplerOptions& options) {
  ITO_ASSIGN(const AnnealedFormRow* form, annealed_form(options));
  const double end = end_time(model, options);
  ITO_ASSIGN(const ScoreModel view, noise_coordinates(model, end > 0 ? end : model.sde.start()));
  const Sde& sde = view.sde;
  AnnealedLangevinOptions ald;
  ald.form = form->form;
  ITO_ASSIGN(const std::vector<double> sigmas,
             geometric_ladder(sde.sigma_max, sde.sigma_min, options.steps));
  ald.steps_per_level =
      options.corrector_steps > 0 ? options.corrector_steps : form->steps_per_level;
  ITO_ASSIGN(ald.epsilon, ladder_epsilon(sigmas, ald.steps_per_level, *form, options));
  ald.denoise = options.denoise;
  std::vector<double> times;
  for (double sigma : sigmas) times.push_back(sde.time_of(sigma));
  ITO_ASSIGN(Sampling sampling, of_method(annealed_langevin(sigmas, times, view.score, ald), sde));
  sampling.method->level = [marginal = sde_marginal(sde),
                            time = sampling.method->column_index("time")](const MethodStep& in) {
    return marginal(in.for_images(time));
  };
  return sampling;
}

Result<Sampling> edm(const ScoreModel& model, const SchedulerConfig&,
                     const SamplerOptions& options) {
  const double asked = end_time(model, options);
  ITO_ASSIGN(const ScoreModel view, edm_coordinates(model, asked > 0 ? asked : model.sde.start()));
  EdmSamplerOptions edm;
  edm.steps = options.steps;
  edm.heun = !options.euler;
  edm.rho = options.rho;
  edm.s_churn = options.churn;
  edm.s_min = options.s_min;
  if (options.s_max > 0) edm.s_max = options.s_max;
  edm.s_noise = options.s_noise;
  return of_method(edm_sampler(view.sde, view.score, edm), view.sde);
}

Result<Sampling> ode(const ScoreModel& model, const SchedulerConfig&,
                     const SamplerOptions& options) {
  Sampling sampling;
  sampling.flow = probability_flow(model.sde, model.score);
  sampling.flow->start = model.ends_at();
  sampling.to = options.eps > 0 ? options.eps : sampling.flow->start;
  if (!(sampling.to < sampling.flow->end))
    return invalid_argument("eps is {}, expected less than {}", sampling.to, sampling.flow->end);
  sampling.start_std = sampling.flow->prior_std;
  return sampling;
}

std::string ald_moot(const SamplerOptions& options, std::string_view key) {
  const auto form = annealed_form(options);
  return key == "snr" && form.ok() && (*form)->own_steps ? "ald --ald-form ncsn" : "";
}

constexpr ScoreSamplerEntry kScoreSamplers[] = {
    {{"em", "Euler-Maruyama steps of the reverse SDE", "Song et al. 2021, eq. 6", ""},
     predictor_alone<Predictor::kEulerMaruyama>,
     kSdeSteps,
     "steps eps denoise"},
    {{"reverse-diffusion", "the reverse of the discretised forward SDE", "Song et al. 2021, eq. 46",
      ""},
     predictor_alone<Predictor::kReverseDiffusion>,
     kSdeSteps,
     "steps eps denoise"},
    {{"ancestral", "ancestral sampling of the discretised SDE", "Song et al. 2021, eq. 4, 47", ""},
     predictor_alone<Predictor::kAncestral>,
     kSdeSteps,
     "steps eps denoise"},
    {{"pc", "a predictor and a corrector in turns", "Song et al. 2021, algorithm 1", ""},
     pc,
     kSdeSteps,
     "steps eps denoise predictor corrector snr corrector_steps"},
    {{"ald", "annealed Langevin dynamics down the noise levels",
      "Song & Ermon 2019, 2020, algorithm 1", ""},
     ald,
     kSdeSteps,
     "steps eps denoise snr corrector_steps ald_form epsilon",
     ald_moot,
     /*own_levels=*/true},
    {{"ode", "the probability flow, solved adaptively (Dormand-Prince)", "Song et al. 2021, eq. 13",
      ""},
     ode,
     0,
     "rtol atol eps"},
    {{"edm", "the probability flow by Heun's steps in EDM's coordinates, with churn",
      "Karras et al. 2022, algorithm 2", ""},
     edm,
     kEdmSteps,
     "steps eps rho churn euler s_min s_max s_noise",
     moot_without_churn},
};

}  // namespace

std::vector<Name> annealed_form_choices() { return names_of(kAnnealedForms); }

std::span<const ScoreSamplerEntry> score_sampler_rows() { return kScoreSamplers; }

Status check_annealed_form(const std::string& name) {
  ITO_TRY(annealed_form({.ald_form = name}));
  return {};
}

}  // namespace ito
