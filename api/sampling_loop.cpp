#include "api/sampling_loop.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/model_score.h"
#include "base/error.h"
#include "diffusion/annealed_langevin.h"
#include "diffusion/edm_sampler.h"
#include "diffusion/noise_ladder.h"
#include "diffusion/predictor_corrector.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling_program.h"

namespace ito {
namespace {

constexpr const char* kGan = "gan";
constexpr const char* kEdm = "edm";
constexpr int kDiscreteSteps = 50, kEdmSteps = 18, kSdeSteps = 500;  // unless told otherwise
constexpr double kDefaultSnr = 0.16;
constexpr int kStepsPerLevel = 5;  // NCSNv2's for small images
constexpr const char* kNcsn = "ncsn";
constexpr double kNcsnEpsilon = 2e-5;  // Song & Ermon 2019, section 5
constexpr int kNcsnStepsPerLevel = 100;

// The shape and the classes, of the model or else of the classifier that guides it.
Result<SamplingLoop> empty_loop(const Network& network, const SampleOptions& options) {
  const Signature& signature = network.signature();
  const auto size = signature.sample_size;
  if (!size && (options.height == 0 || options.width == 0))
    return invalid_argument("the model has no sample_size; give the image size");
  const int64_t h = options.height > 0 ? options.height : (*size)[0];
  const int64_t w = options.width > 0 ? options.width : (*size)[1];
  ITO_TRY(network.check_size(h, w));
  SamplingLoop loop;
  loop.shape = {options.batch, h, w, signature.in_channels};
  loop.classes = signature.classes.classes();
  if (options.control == nullptr) return loop;
  ITO_TRY(check_control(*options.control, loop.shape, loop.classes));
  if (options.control->guidance)
    loop.classes =
        static_cast<int>(options.control->guidance->classifier.network.signature().out_channels);
  return loop;
}

// DDPM and DDIM on the model's own timesteps. A GAN's steps are DDPM's, with x_0 generated.
Result<SamplingLoop> discrete_loop(const Network& network, const SchedulerConfig& scheduler,
                                   const SampleOptions& options) {
  if (is_score_scheduler(scheduler.class_name))
    return invalid_argument(
        "sampler {} is of discrete chains; for a model with {} use em, reverse-diffusion, "
        "ancestral, pc, ald, ode or edm",
        options.sampler, scheduler.class_name);
  ITO_ASSIGN(SamplingLoop loop, empty_loop(network, options));
  const bool gan = options.sampler == kGan;
  ITO_ASSIGN(
      const Sampler sampler,
      make_sampler(gan ? "ddpm" : options.sampler, scheduler,
                   {.steps = gan ? scheduler.num_train_timesteps : options.steps, .timesteps = {}},
                   {.eta = options.eta}));
  const Signature& signature = network.signature();
  if (sampler.output_multiple * signature.in_channels != signature.out_channels)
    return unsupported(
        "the network has {} output channels for {} input channels, the sampler "
        "expects {}",
        signature.out_channels, signature.in_channels,
        sampler.output_multiple * signature.in_channels);
  SamplingOptions program_options;
  program_options.shape = loop.shape;
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(scheduler));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(scheduler.prediction_type));
  const MarginalFunction marginal = schedule_marginal(schedule);
  program_options.denoiser =
      controlled_denoiser(options.control, input_denoiser(network), prediction, marginal);
  program_options.constraint = control_constraint(options.control, marginal);
  loop.name = gan ? kGan : sampler.name;
  loop.step = sampling_program(sampler, program_options);
  loop.steps = sampler.steps();
  loop.start_std = sampler.init_noise_sigma;
  loop.history = sampler.history;
  return loop;
}

Result<Predictor> predictor_of(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  if (name == "em") return Predictor::kEulerMaruyama;
  return predictor_from_name(name);
}

// When sampling ends: as asked, or as the model says, or 0.
double end_time(const SchedulerConfig& scheduler, const SampleOptions& options) {
  if (options.eps > 0) return options.eps;
  return is_score_scheduler(scheduler.class_name) ? sampling_end(scheduler) : 0;
}

Result<PredictorCorrectorOptions> predictor_corrector_options(const SchedulerConfig& scheduler,
                                                              const SampleOptions& options) {
  PredictorCorrectorOptions pc;
  const std::string& sampler = options.sampler;
  if (sampler == "ald") {
    pc.predictor = Predictor::kNone;
    pc.corrector = Corrector::kAld;
  } else if (sampler == "pc") {
    ITO_ASSIGN(pc.predictor, predictor_of(options.predictor));
    ITO_ASSIGN(pc.corrector, corrector_from_name(options.corrector));
  } else {
    ITO_ASSIGN(pc.predictor, predictor_of(sampler));
  }
  const bool ve = scheduler.class_name == "ScoreSdeVeScheduler";
  pc.steps = options.steps;
  pc.snr = options.snr > 0 ? options.snr : ve ? scheduler.snr : kDefaultSnr;
  const int default_steps = sampler == "ald" ? kStepsPerLevel : 1;
  pc.corrector_steps = options.corrector_steps > 0 ? options.corrector_steps : default_steps;
  pc.end_time = end_time(scheduler, options);
  pc.denoise = options.denoise;
  return pc;
}

// ε: as asked, by the signal-to-noise ratio, or as published. A step is a contraction on N(0, σ²),
// than which no p_σ is narrower, while its factor 1 - α/σ² (NCSN: 1 - α/(2σ²)) is above -1.
Result<double> ladder_epsilon(const std::vector<double>& sigmas, int steps_per_level, bool ncsn,
                              const SampleOptions& options) {
  const double variance = sigmas.back() * sigmas.back(), most = (ncsn ? 4 : 2) * variance;
  double epsilon = options.epsilon;
  if (epsilon == 0 && options.snr > 0) epsilon = 2 * options.snr * options.snr * variance;
  if (epsilon == 0) epsilon = ncsn ? kNcsnEpsilon : ladder_step_size(sigmas, steps_per_level);
  if (epsilon < most) return epsilon;
  return invalid_argument(
      "epsilon is {:.3g}, expected less than {:.3g} ({} times sigma_min squared), from where on "
      "Langevin steps diverge",
      epsilon, most, ncsn ? 4 : 2);
}

bool has_ladder(const Sde& sde) {
  return sde.kind == Sde::Kind::kVe || sde.kind == Sde::Kind::kEdm;
}

// Annealed Langevin dynamics on the geometric ladder of a VE or EDM process.
Result<Chain> ladder_chain(const ScoreModel& model, const SampleOptions& options) {
  const bool ncsn = options.ald_form == kNcsn;
  AnnealedLangevinOptions ald;
  ald.form = ncsn ? AnnealedForm::kNcsn : AnnealedForm::kNcsnV2;
  ITO_ASSIGN(const std::vector<double> sigmas,
             geometric_ladder(model.sde.sigma_max, model.sde.sigma_min, options.steps));
  const int default_steps = ncsn ? kNcsnStepsPerLevel : kStepsPerLevel;
  ald.steps_per_level = options.corrector_steps > 0 ? options.corrector_steps : default_steps;
  ITO_ASSIGN(ald.epsilon, ladder_epsilon(sigmas, ald.steps_per_level, ncsn, options));
  ald.denoise = options.denoise;
  std::vector<double> times;
  for (double sigma : sigmas) times.push_back(model.sde.time_of(sigma));
  return annealed_langevin(sigmas, times, model.score, ald);
}

EdmSamplerOptions edm_options(const SampleOptions& options) {
  EdmSamplerOptions edm;
  edm.steps = options.steps;
  edm.heun = !options.euler;
  edm.rho = options.rho;
  edm.s_churn = options.churn;
  edm.s_min = options.s_min;
  if (options.s_max > 0) edm.s_max = options.s_max;
  edm.s_noise = options.s_noise;
  return edm;
}

Result<SamplingLoop> chain_loop(const Network& network, const SchedulerConfig& scheduler,
                                const SampleOptions& options) {
  ITO_ASSIGN(SamplingLoop loop, empty_loop(network, options));
  ITO_ASSIGN(ScoreModel model, network_score_model(network, scheduler));
  const MarginalFunction marginal = sde_marginal(model.sde);
  model.score = controlled_score(options.control, std::move(model.score), marginal);
  Chain chain;
  if (options.sampler == kEdm) {
    if (options.control != nullptr && options.control->observation)
      return unsupported("sampler edm takes no observation");
    const double asked = end_time(scheduler, options);
    ITO_ASSIGN(model, edm_coordinates(model, asked > 0 ? asked : model.sde.start()));
    ITO_ASSIGN(chain, edm_sampler(model.sde, model.score, edm_options(options)));
    for (const ChainState& state : chain.states) loop.history.push_back(state.name);
  } else if (options.sampler == "ald" && has_ladder(model.sde)) {
    ITO_ASSIGN(chain, ladder_chain(model, options));
  } else {
    if (options.ald_form == kNcsn || options.epsilon > 0)
      return invalid_argument("--ald-form ncsn and --epsilon need a VE or EDM model, found {}",
                              sde_name(model.sde.kind));
    ITO_ASSIGN(const PredictorCorrectorOptions pc, predictor_corrector_options(scheduler, options));
    ITO_ASSIGN(chain, predictor_corrector(model.sde, model.score, pc));
  }
  ChainOptions chain_options{.shape = loop.shape};
  chain_options.constraint = control_constraint(options.control, marginal);
  loop.name = chain.name;
  loop.step = chain_program(chain, chain_options);
  loop.steps = chain.steps;
  loop.chain = std::move(chain);
  loop.start_std = model.sde.prior_std();
  return loop;
}

Result<SamplingLoop> flow_loop(const Network& network, const SchedulerConfig& scheduler,
                               const SampleOptions& options) {
  ITO_ASSIGN(SamplingLoop loop, empty_loop(network, options));
  if (options.control != nullptr)
    return unsupported("sampler ode takes neither guidance nor an observation");
  ITO_ASSIGN(const ProbabilityFlow flow, sampling_flow(network, scheduler));
  loop.flow = flow_system(flow, loop.shape);
  loop.from = flow.end;
  loop.to = options.eps > 0 ? options.eps : flow.start;
  if (!(loop.to < loop.from))
    return invalid_argument("eps is {}, expected less than {}", loop.to, loop.from);
  loop.start_std = flow.prior_std;
  return loop;
}

}  // namespace

bool is_sde_sampler(const std::string& name) {
  return name != "ddpm" && name != "ddim" && name != kGan;
}

std::vector<std::string> sample_names() {
  return {"ddpm", "ddim", "em", "reverse-diffusion", "ancestral", "pc", "ald", "ode", kEdm, kGan};
}

int default_steps(const SampleOptions& options, const SchedulerConfig& scheduler) {
  if (options.sampler == kGan) return scheduler.num_train_timesteps;
  if (options.sampler == kEdm) return kEdmSteps;
  if (options.sampler == "ald" && scheduler.ladder) return scheduler.num_train_timesteps;
  return is_sde_sampler(options.sampler) ? kSdeSteps : kDiscreteSteps;
}

Json sample_settings(const SampleOptions& options) {
  Json settings = {{"sampler", options.sampler}};
  if (options.sampler == "ode") {
    settings["rtol"] = options.rtol;
    settings["atol"] = options.atol;
    settings["eps"] = options.eps;
    return settings;
  }
  if (options.sampler == kGan) return settings;
  settings["steps"] = options.steps;
  if (!is_sde_sampler(options.sampler)) {
    settings["eta"] = options.eta;
    return settings;
  }
  settings["eps"] = options.eps;
  if (options.sampler == kEdm) {
    settings["rho"] = options.rho;
    settings["churn"] = options.churn;
    settings["euler"] = options.euler;
    if (options.churn == 0) return settings;
    settings["s_min"] = options.s_min;
    settings["s_max"] = options.s_max;
    settings["s_noise"] = options.s_noise;
    return settings;
  }
  settings["denoise"] = options.denoise;
  if (options.sampler == "pc") {
    settings["predictor"] = options.predictor;
    settings["corrector"] = options.corrector;
  }
  if (options.sampler == "pc" || options.sampler == "ald") {
    if (options.sampler == "pc" || options.ald_form != kNcsn) settings["snr"] = options.snr;
    settings["corrector_steps"] = options.corrector_steps;
  }
  if (options.sampler == "ald") {
    settings["ald_form"] = options.ald_form;
    settings["epsilon"] = options.epsilon;
  }
  return settings;
}

Result<SamplingLoop> sampling_loop(const Network& given, const SchedulerConfig& scheduler,
                                   const SampleOptions& asked) {
  SampleOptions options = asked;
  const Network network = options.context != nullptr && given.signature().context > 0
                              ? given.with_context(options.context->length)
                              : given;
  if (options.context != nullptr && given.signature().context != options.context->features)
    return invalid_argument(
        "a context of {} numbers per state was given, the network attends to {}",
        options.context->features, given.signature().context);
  if (options.steps == 0) options.steps = default_steps(options, scheduler);
  const bool generator = network.signature().latent > 0;
  ITO_TRY(check_session_signature(network.signature()));
  const std::vector<std::string> names = sample_names();
  if (std::find(names.begin(), names.end(), options.sampler) == names.end())
    return invalid_argument("there is no sampler \"{}\"", options.sampler);
  if (generator && options.sampler != kGan)
    return invalid_argument("the model is a GAN's generator: expected --sampler gan, found {}",
                            options.sampler);
  if (!generator && options.sampler == kGan)
    return invalid_argument("--sampler gan needs a model trained with --gan-steps");
  if (generator && options.control != nullptr && options.control->guidance)
    return unsupported("a GAN's generator gives no score to guide");
  if (!is_sde_sampler(options.sampler)) return discrete_loop(network, scheduler, options);
  if (options.sampler == "ode") return flow_loop(network, scheduler, options);
  return chain_loop(network, scheduler, options);
}

}  // namespace ito
