// The ancestral sampler of unCLIP's priors and decoders (Ramesh et al. 2022; Nichol & Dhariwal
// 2021): ddpm_solver on the cosine schedule, at timesteps round(i (T-1)/(steps-1)), with the
// variance β̃ or one between β̃ and β that the network gives. Errors: as ddpm_solver's; another
// beta_schedule, variance_type or prediction_type; one step, of which the timesteps are not
// defined.
#include "base/error.h"
#include "diffusion/solver_options.h"

namespace ito {

SolverMaker ddpm_solver;

Result<Solver> unclip_solver(const SchedulerConfig& config, const SolverOptions& options) {
  if (config.beta_schedule != "squaredcos_cap_v2" || config.trained_betas)
    return invalid_argument(
        "scheduler config: the sampler unclip has the schedule squaredcos_cap_v2 only, found {}",
        config.trained_betas ? "trained_betas" : config.beta_schedule);
  if (config.variance_type != "fixed_small_log" && config.variance_type != "learned_range")
    return invalid_argument(
        "scheduler config: variance_type is \"{}\", expected fixed_small_log or learned_range for "
        "the sampler unclip",
        config.variance_type);
  if (config.prediction_type != "epsilon" && config.prediction_type != "sample")
    return invalid_argument(
        "scheduler config: prediction_type is \"{}\", expected epsilon or sample for the sampler "
        "unclip",
        config.prediction_type);
  if (options.timesteps.empty() && options.steps < 2)
    return invalid_argument("number of sampling steps is {}, expected at least 2 for unclip",
                            options.steps);
  SchedulerConfig chain = config;
  chain.timestep_spacing = "linspace";
  chain.thresholding = false;
  ITO_ASSIGN(Solver solver, ddpm_solver(chain, options));
  solver.name = "unclip";
  return solver;
}

}  // namespace ito
