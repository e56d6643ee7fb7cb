#include "diffusion/samplers.h"

#include "base/error.h"
#include "diffusion/process.h"

namespace ito {

// One file each in diffusion/solvers/.
SolverMaker ddpm_solver, ddim_solver, ddim_inverse_solver;
SolverMaker pndm_solver, dpm_multistep_solver, dpm_singlestep_solver, unipc_solver, deis_solver;
SolverMaker unclip_solver, lcm_solver;
SolverMaker euler_solver, euler_ancestral_solver, heun_solver, kdpm2_solver, kdpm2_ancestral_solver,
    lms_solver, ipndm_solver, dpm_sde_solver;
SolverMaker edm_euler_solver, edm_dpm_solver, flow_euler_solver, flow_heun_solver,
    consistency_solver;

namespace {

constexpr ProcessKind kDiscrete = ProcessKind::kDiscrete;

// What the names of the DPM-Solver family say, whatever the configuration's own choice.
void dpm(SchedulerConfig& config, const char* algorithm, int order) {
  config.algorithm_type = algorithm;
  config.solver_order = order;
  config.solver_type = "midpoint";
}

constexpr SolverEntry kSolvers[] = {
    {{"ddpm", "ancestral sampling, with every variance", "Ho et al. 2020, algorithm 2", ""},
     kDiscrete,
     ddpm_solver,
     nullptr,
     "steps timesteps spacing variance"},
    {{"ddim", "deterministic at eta 0, DDPM's variance at eta 1", "Song et al. 2021, eq. 12", ""},
     kDiscrete,
     ddim_solver,
     nullptr,
     "steps timesteps spacing eta"},
    {{"ddim-inverse", "DDIM run from an image to its noise", "Song et al. 2021, section 4.3",
      "ddim_inverse"},
     kDiscrete,
     ddim_inverse_solver,
     nullptr,
     "steps timesteps spacing",
     50,
     false,
     {},
     true},
    {{"pndm", "Runge-Kutta, then linear multistep", "Liu et al. 2022", ""},
     kDiscrete,
     pndm_solver,
     nullptr,
     "steps timesteps spacing"},
    {{"plms", "linear multistep from the start", "Liu et al. 2022, eq. 12", ""},
     kDiscrete,
     pndm_solver,
     [](SchedulerConfig& config) { config.skip_prk_steps = true; },
     "steps timesteps spacing",
     50,
     false,
     "pndm"},
    {{"dpm-multistep", "DPM-Solver and DPM-Solver++ as the configuration says, multistep",
      "Lu et al. 2022, 2022b", "dpm"},
     kDiscrete,
     dpm_multistep_solver,
     nullptr,
     "steps timesteps spacing sigmas final_sigma order algorithm solver_type shift lambda_min"},
    {{"dpm++1", "first-order DPM-Solver++, DDIM's step", "Lu et al. 2022b", ""},
     kDiscrete,
     dpm_multistep_solver,
     [](SchedulerConfig& config) { dpm(config, "dpmsolver++", 1); },
     "steps timesteps spacing sigmas final_sigma lambda_min",
     50,
     false,
     "dpm-multistep"},
    {{"dpm++2m", "second-order multistep DPM-Solver++", "Lu et al. 2022b, algorithm 2",
      "dpmpp_2m dpm++ dpm-solver++"},
     kDiscrete,
     dpm_multistep_solver,
     [](SchedulerConfig& config) { dpm(config, "dpmsolver++", 2); },
     "steps timesteps spacing sigmas final_sigma solver_type lambda_min",
     50,
     false,
     "dpm-multistep"},
    {{"dpm++2m-sde", "second-order multistep DPM-Solver++ of the SDE", "Lu et al. 2022b, section 5",
      "dpmpp_2m_sde"},
     kDiscrete,
     dpm_multistep_solver,
     [](SchedulerConfig& config) { dpm(config, "sde-dpmsolver++", 2); },
     "steps timesteps spacing sigmas final_sigma solver_type lambda_min",
     50,
     false,
     "dpm-multistep"},
    {{"dpm++3m", "third-order multistep DPM-Solver++", "Lu et al. 2022b", "dpmpp_3m"},
     kDiscrete,
     dpm_multistep_solver,
     [](SchedulerConfig& config) { dpm(config, "dpmsolver++", 3); },
     "steps timesteps spacing sigmas final_sigma lambda_min",
     50,
     false,
     "dpm-multistep"},
    {{"dpm-singlestep", "DPM-Solver and DPM-Solver++ as the configuration says, singlestep",
      "Lu et al. 2022, 2022b", ""},
     kDiscrete,
     dpm_singlestep_solver,
     nullptr,
     "steps timesteps sigmas final_sigma order algorithm solver_type shift lambda_min"},
    {{"dpm++2s", "second-order singlestep DPM-Solver++", "Lu et al. 2022b, algorithm 1",
      "dpmpp_2s"},
     kDiscrete,
     dpm_singlestep_solver,
     [](SchedulerConfig& config) { dpm(config, "dpmsolver++", 2); },
     "steps timesteps sigmas final_sigma solver_type lambda_min",
     50,
     false,
     "dpm-singlestep"},
    {{"unipc", "predictor and corrector that share evaluations", "Zhao et al. 2023", "uni_pc"},
     kDiscrete,
     unipc_solver,
     nullptr,
     "steps timesteps spacing sigmas final_sigma order solver_type shift"},
    {{"deis", "exponential integrator, multistep in log(σ/α)", "Zhang & Chen 2023", ""},
     kDiscrete,
     deis_solver,
     nullptr,
     "steps timesteps spacing sigmas order shift"},
    {{"unclip", "ddpm on the cosine schedule, as unCLIP's priors have it", "Ramesh et al. 2022",
      ""},
     kDiscrete,
     unclip_solver,
     nullptr,
     "steps timesteps variance"},
    {{"lcm", "multistep sampling of latent consistency models, 1 to 8 steps",
      "Luo et al. 2023, algorithm 3", ""},
     kDiscrete,
     lcm_solver,
     nullptr,
     "steps timesteps",
     4},
    {.name = {"euler", "Euler steps of the flow in sigma, with churn",
              "Karras et al. 2022, algorithm 2", ""},
     .process = kDiscrete,
     .make = euler_solver,
     .options = "steps timesteps spacing sigmas final_sigma churn s_min s_max s_noise",
     .moot = moot_without_churn},
    {{"euler-ancestral", "Euler steps below the next sigma and noise back up to it",
      "Song et al. 2021, eq. 47", "euler_ancestral"},
     kDiscrete,
     euler_ancestral_solver,
     nullptr,
     "steps timesteps spacing"},
    {{"heun", "Heun's second-order steps in sigma, two evaluations each",
      "Karras et al. 2022, algorithm 1", ""},
     kDiscrete,
     heun_solver,
     nullptr,
     "steps timesteps spacing sigmas"},
    {{"kdpm2", "midpoint steps in sigma, two evaluations each", "Lu et al. 2022, algorithm 1", ""},
     kDiscrete,
     kdpm2_solver,
     nullptr,
     "steps timesteps spacing sigmas"},
    {{"kdpm2-ancestral", "kdpm2 below the next sigma and noise back up to it",
      "Lu et al. 2022, algorithm 1", "kdpm2_ancestral"},
     kDiscrete,
     kdpm2_ancestral_solver,
     nullptr,
     "steps timesteps spacing sigmas"},
    {{"lms", "linear multistep method in sigma, orders 1 to 4", "Liu et al. 2022, section 3", ""},
     kDiscrete,
     lms_solver,
     nullptr,
     "steps timesteps spacing sigmas order"},
    {{"ipndm", "linear multistep method in sigma with weights of even steps, orders 1 to 4",
      "Zhang & Chen 2023", ""},
     kDiscrete,
     ipndm_solver,
     nullptr,
     "steps timesteps spacing sigmas order"},
    {{"dpm-sde", "DPM-Solver++ of the SDE, two evaluations per step",
      "Lu et al. 2022b, section 4.3", "dpm_sde"},
     kDiscrete,
     dpm_sde_solver,
     nullptr,
     "steps timesteps spacing sigmas s_noise"},
    {.name = {"edm-euler", "Euler steps of EDM's flow, with churn",
              "Karras et al. 2022, algorithm 2", "edm_euler"},
     .process = ProcessKind::kEdm,
     .make = edm_euler_solver,
     .options = "steps final_sigma churn s_min s_max s_noise",
     .moot = moot_without_churn},
    {{"edm-dpm", "DPM-Solver++ multistep on EDM's process, orders 1 to 3",
      "Lu et al. 2022b, algorithm 2", "edm_dpm"},
     ProcessKind::kEdm,
     edm_dpm_solver,
     nullptr,
     "steps final_sigma order algorithm solver_type"},
    {{"flow-euler", "Euler steps along straight paths", "Lipman et al. 2022", "flow_euler"},
     ProcessKind::kFlow,
     flow_euler_solver,
     nullptr,
     "steps sigmas shift"},
    {.name = {"flow-heun", "Heun's steps along straight paths, two evaluations each",
              "Lipman et al. 2022", "flow_heun"},
     .process = ProcessKind::kFlow,
     .make = flow_heun_solver,
     .options = "steps shift churn s_min s_max s_noise",
     .moot = moot_without_churn},
    {{"consistency", "jumps to the image and back to less noise", "Song et al. 2023, algorithm 1",
      ""},
     ProcessKind::kConsistency,
     consistency_solver,
     nullptr,
     "steps timesteps",
     2},
    {.name = {"gan", "a denoising diffusion GAN's own few large steps", "Xiao et al. 2022", ""},
     .process = kDiscrete,
     .make = ddpm_solver,
     .options = "",
     .default_steps = 0,
     .generator = true},
};

}  // namespace

std::string moot_without_churn(const SamplerOptions& options, std::string_view key) {
  for (const std::string_view of_churn : {"s_min", "s_max", "s_noise"})
    if (key == of_churn && options.churn == 0) return options.sampler + " without --churn";
  return "";
}

std::span<const SolverEntry> solver_rows() { return kSolvers; }

std::string configured_as(const std::string& name) {
  const SolverEntry* row = find_row(solver_rows(), name);
  if (row == nullptr) return name;
  return std::string(row->configured_as.empty() ? row->name.name : row->configured_as);
}

bool inverts(const std::string& name) {
  const SolverEntry* row = find_row(solver_rows(), name);
  return row != nullptr && row->inverts;
}

Result<Solver> make_solver(const std::string& name, const SchedulerConfig& config,
                           const SolverOptions& options) {
  ITO_ASSIGN(const SolverEntry* row, row_called(solver_rows(), name, "the sampler"));
  if (row->process != config.process)
    return invalid_argument("sampler {} is for models of the process {}, found one of {}",
                            row->name.name, process_name(row->process),
                            process_name(config.process));
  SchedulerConfig chosen = config;
  if (row->preset != nullptr) row->preset(chosen);
  return row->make(chosen, options);
}

}  // namespace ito
