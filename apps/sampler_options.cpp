#include "apps/sampler_options.h"

#include <algorithm>

#include "apps/command.h"
#include "base/error.h"

namespace ito::apps {
namespace {

// The sampler, with what takes the option's meaning away where another choice would give it one.
std::string described(const SampleOptions& options, const std::string& option) {
  if (options.sampler == "edm" && option.starts_with("s-")) return "edm without --churn";
  if (options.sampler == "ald" && option == "snr") return "ald --ald-form ncsn";
  return options.sampler;
}

}  // namespace

void add_sampler_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--sampler", options.sampler,
                 "ddpm, ddim: of a discrete chain, on its own timesteps; of any model as an SDE: "
                 "em, reverse-diffusion, ancestral, pc (predictor and corrector), ald (annealed "
                 "Langevin), ode (probability flow, adaptive), edm (probability flow by Heun's "
                 "method, with --churn also noise); of a GAN: gan")
      ->check(CLI::IsMember(sample_names()))
      ->capture_default_str();
  app.add_option("--steps", options.steps,
                 "steps of the method; ald: noise levels; left out: 50 for ddpm and ddim, 18 for "
                 "edm, a ladder's levels for ald, else 500")
      ->check(at_least(1));
  app.add_option("--eta", options.eta, "ddim: 0 is deterministic, 1 as noisy as ddpm")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--predictor", options.predictor,
                 "pc: none, em, reverse-diffusion, reverse-diffusion-ode, ancestral")
      ->check(
          CLI::IsMember({"none", "em", "reverse-diffusion", "reverse-diffusion-ode", "ancestral"}))
      ->capture_default_str();
  app.add_option("--corrector", options.corrector, "pc: none, langevin, ald")
      ->check(CLI::IsMember({"none", "langevin", "ald"}))
      ->capture_default_str();
  app.add_option("--snr", options.snr,
                 "pc, ald: signal-to-noise ratio of a Langevin step; 0: the model's (pc), from "
                 "the noise ladder (ald)")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--corrector-steps", options.corrector_steps,
                 "pc: Langevin steps per step, 0: 1; ald: per noise level, 0: 5, with ncsn 100")
      ->check(at_least(0))
      ->capture_default_str();
  app.add_option("--ald-form", options.ald_form,
                 "ald of a VE model: ncsnv2 (Song & Ermon 2020) or ncsn (2019)")
      ->check(CLI::IsMember({"ncsn", "ncsnv2"}))
      ->capture_default_str();
  app.add_option("--epsilon", options.epsilon,
                 "ald of a VE model: the step size at the last noise level; 0: by the ladder "
                 "(ncsnv2), 2e-5 (ncsn)")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--eps", options.eps, "SDEs: time at which sampling ends; 0: the model's")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_flag("--denoise,!--no-denoise", options.denoise, "SDEs: end without noise")
      ->capture_default_str();
  app.add_option("--rho", options.rho, "edm: shape of the noise levels; larger: more small ones")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--churn", options.churn,
                 "edm: noise added over all steps (S_churn of Karras et al. 2022); 0: none")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--s-min", options.s_min, "edm with --churn: smallest noise level that gets noise")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--s-max", options.s_max, "edm with --churn: largest; 0: no bound")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--s-noise", options.s_noise, "edm with --churn: the noise's deviation")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  app.add_flag("--euler", options.euler, "edm: Euler steps, one evaluation each, in place of Heun");
  app.add_option("--rtol", options.rtol, "ode: relative tolerance")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--atol", options.atol, "ode: absolute tolerance")
      ->check(positive_number())
      ->capture_default_str();
}

Status check_sampler_options(const CLI::App& app, SampleOptions& options) {
  if (options.sampler == "ode") ITO_TRY(check_ode_options({options.rtol, options.atol}));
  // An option that the sampler does not look at was meant for another one.
  const Json settings = sample_settings(options);
  for (const char* option :
       {"steps", "eta", "predictor", "corrector", "snr", "corrector-steps", "ald-form", "epsilon",
        "eps", "denoise", "rho", "churn", "s-min", "s-max", "s-noise", "euler", "rtol", "atol"}) {
    std::string key = option;
    std::replace(key.begin(), key.end(), '-', '_');
    if (app.count("--" + std::string(option)) > 0 && !settings.contains(key))
      return invalid_argument("--{} has no meaning for --sampler {}", option,
                              described(options, option));
  }
  if (options.snr > 0 && options.epsilon > 0)
    return invalid_argument("give --snr or --epsilon, not both");
  return {};
}

Result<SampleOptions> parse_sampler(const std::string& text) {
  CLI::App app;
  SampleOptions options;
  add_sampler_options(app, options);
  try {
    app.parse("--sampler " + text);
  } catch (const CLI::ParseError& error) {
    return invalid_argument("--sampler \"{}\": {}", text, error.what());
  }
  ITO_TRY(check_sampler_options(app, options));
  return options;
}

}  // namespace ito::apps
