// SamplerOptions: what a run may choose of its sampler, as one table of fields that the command
// line, settings in pictures and the check of what a sampler uses share. Which of them a sampler
// looks at is said in its row (diffusion/samplers.h).
#pragma once

#include <string>
#include <string_view>

namespace ito {

struct SamplerOptions;
// What takes the meaning of an option away that a sampler's row lists, as "edm without --churn"; or
// nothing.
using MootOption = std::string(const SamplerOptions& options, std::string_view key);

struct SamplerOptions {
  std::string sampler = {};  // a row's name; empty: as the model's scheduler says
  int steps = 0;             // 0: the sampler's own number
  double eta = 0;

  // Changes of the scheduler's configuration; empty or 0: as it says.
  std::string spacing = {};
  std::string timesteps = {};
  std::string sigmas = {};
  std::string final_sigma = {};
  std::string variance = {};
  int order = 0;
  std::string algorithm = {};
  std::string solver_type = {};
  double shift = 0;
  std::string lambda_min = {};

  std::string predictor = "reverse-diffusion";
  std::string corrector = "langevin";
  double snr = 0;
  int corrector_steps = 0;
  std::string ald_form = "ncsnv2";
  double epsilon = 0;
  double eps = 0;
  bool denoise = true;

  double rho = 7;
  double churn = 0;
  double s_min = 0;
  double s_max = 0;
  double s_noise = 1;
  bool euler = false;

  double rtol = 1e-5;
  double atol = 1e-5;

  bool operator==(const SamplerOptions&) const = default;
};

// Calls visit(key, field, help) for every field but the sampler; "--" and the key, "_" as "-", is
// the command line's option, whose help begins with the samplers that look at it, where not all do,
// and goes on with the names that there are, where it is a choice by name.
template <typename Options, typename Visit>
void visit_sampler_fields(Options& o, Visit&& visit) {
  visit("steps", o.steps, "steps of the method (ald: noise levels); left out: the sampler's own");
  visit("eta", o.eta, "0 is deterministic, 1 as noisy as ddpm");
  visit("spacing", o.spacing, "which timesteps are visited; left out: as the scheduler says");
  visit("timesteps", o.timesteps,
        "exactly these training timesteps, falling, as 999,700,400,0, in place of --steps spaced "
        "ones");
  visit("sigmas", o.sigmas, "spacing of the noise levels; left out: as the scheduler says");
  visit("final_sigma", o.final_sigma, "the last noise level; left out: as the scheduler says");
  visit("variance", o.variance, "variance of a step; left out: as the scheduler says");
  visit("order", o.order, "order of the solver, 1 to 3 (lms, ipndm: to 4)");
  visit("algorithm", o.algorithm, "what is solved; left out: as the scheduler says");
  visit(
      "solver_type", o.solver_type,
      "how the solver steps: of dpm the first two, of unipc the others; left out: as the scheduler "
      "says");
  visit("shift", o.shift, "shift of the noise levels towards noise");
  visit("lambda_min", o.lambda_min,
        "timesteps begin where log(alpha/sigma) is no less, as -3, which skips those of a cosine "
        "schedule that are all but noise; left out: as the scheduler says");
  visit("predictor", o.predictor, "step to the next noise level");
  visit("corrector", o.corrector, "moves at each noise level");
  visit("snr", o.snr,
        "signal-to-noise ratio of a Langevin step; 0: the model's (pc), from the noise "
        "ladder (ald)");
  visit("corrector_steps", o.corrector_steps,
        "Langevin steps at a noise level; 0: one (pc), 5, with ncsn 100 (ald)");
  visit("ald_form", o.ald_form, "how it moves on a VE model");
  visit("epsilon", o.epsilon,
        "on a VE model: the step size at the last noise level; 0: by the ladder (ncsnv2), 2e-5 "
        "(ncsn)");
  visit("eps", o.eps, "time at which sampling ends; 0: the model's");
  visit("denoise", o.denoise, "end without noise");
  visit("rho", o.rho, "shape of the noise levels; larger: more small ones");
  visit("churn", o.churn, "noise added over all steps (S_churn of Karras et al. 2022); 0: none");
  visit("s_min", o.s_min, "with --churn: smallest noise level that gets noise");
  visit("s_max", o.s_max, "with --churn: largest; 0: no bound");
  visit("s_noise", o.s_noise, "with --churn: the noise's deviation");
  visit("euler", o.euler, "Euler steps, one evaluation each, in place of Heun");
  visit("rtol", o.rtol, "relative tolerance");
  visit("atol", o.atol, "absolute tolerance");
}

}  // namespace ito
