#include "io/scheduler_classes.h"

#include "base/check.h"
#include "base/name_list.h"

namespace ito {
namespace {

// Keys that the whole family of a chain of betas owns.
constexpr std::string_view kChain =
    "num_train_timesteps beta_start beta_end beta_schedule trained_betas prediction_type";
// Thresholding; the σ spacings; the multistep solvers in log-SNR.
constexpr std::string_view kThreshold = "thresholding dynamic_thresholding_ratio sample_max_value";
constexpr std::string_view kSigmas = "use_karras_sigmas use_exponential_sigmas use_beta_sigmas";
constexpr std::string_view kFlowSigmas =
    "use_flow_sigmas flow_shift use_dynamic_shifting time_shift_type";
constexpr std::string_view kSpacing = "timestep_spacing steps_offset";
constexpr std::string_view kClip = "clip_sample clip_sample_range";
constexpr std::string_view kMultistep = "solver_order algorithm_type solver_type lower_order_final";

// What is common to most: nothing is clipped, timesteps by linspace.
void solver_defaults(SchedulerConfig& c) {
  c.clip_sample = false;
  c.timestep_spacing = "linspace";
}

void sd_defaults(SchedulerConfig& c) {
  solver_defaults(c);
  c.beta_start = 0.00085;
  c.beta_end = 0.012;
}

void edm_defaults(SchedulerConfig& c) {
  c.clip_sample = false;
  c.sigma_min = 0.002;
  c.sigma_max = 80;
}

void ve_defaults(SchedulerConfig& c) {
  c.num_train_timesteps = 2000;
  c.sampling_eps = 1e-5;
}

void vp_defaults(SchedulerConfig& c) {
  c.num_train_timesteps = 2000;
  c.sampling_eps = 1e-3;
}

void flow_defaults(SchedulerConfig& c) {
  c.clip_sample = false;
  c.prediction_type = "flow_prediction";
}

constexpr const char* kPlain = "DDPMPipeline";
constexpr const char* kAny = "DiffusionPipeline";  // none of diffusers' samples a plain U-Net so

// The first row of a class is the one that a file of that class becomes, the first row of a process
// and sampler the one that it is written as. Classes without a pipeline of a plain U-Net in
// diffusers 0.40 are indexed as DDPM's, whose loop suits whatever has timesteps and step().
const SchedulerClass kSchedulerClasses[] = {
    {"DDPMScheduler",
     ProcessKind::kDiscrete,
     "ddpm",
     kPlain,
     {kChain, kThreshold, kSpacing, kClip, "variance_type rescale_betas_zero_snr", ""},
     [](SchedulerConfig&) {}},
    {"DDIMScheduler",
     ProcessKind::kDiscrete,
     "ddim",
     "DDIMPipeline",
     {kChain, kThreshold, kSpacing, kClip, "set_alpha_to_one rescale_betas_zero_snr", ""},
     [](SchedulerConfig&) {}},
    {"DDIMInverseScheduler",
     ProcessKind::kDiscrete,
     "ddim-inverse",
     kPlain,
     {kChain, kSpacing, kClip, "set_alpha_to_one rescale_betas_zero_snr", "", ""},
     [](SchedulerConfig&) {}},
    {"UnCLIPScheduler",
     ProcessKind::kDiscrete,
     "unclip",
     kPlain,
     {"num_train_timesteps variance_type prediction_type beta_schedule", kClip, "", "", "", ""},
     [](SchedulerConfig& c) {
       c.variance_type = "fixed_small_log";
       c.beta_schedule = "squaredcos_cap_v2";
     }},
    {"PNDMScheduler",
     ProcessKind::kDiscrete,
     "pndm",
     "PNDMPipeline",
     {kChain, kSpacing, "set_alpha_to_one skip_prk_steps", "", "", ""},
     [](SchedulerConfig& c) {
       c.set_alpha_to_one = false;
       c.clip_sample = false;
     }},
    {"DPMSolverMultistepScheduler",
     ProcessKind::kDiscrete,
     "dpm-multistep",
     kPlain,
     {kChain, kThreshold, kSpacing, kSigmas, kFlowSigmas,
      "solver_order algorithm_type solver_type lower_order_final euler_at_final use_lu_lambdas "
      "final_sigmas_type lambda_min_clipped solver_variance_type rescale_betas_zero_snr"},
     solver_defaults},
    {"DPMSolverSinglestepScheduler",
     ProcessKind::kDiscrete,
     "dpm-singlestep",
     kPlain,
     {kChain, kThreshold, kMultistep, kSigmas, kFlowSigmas,
      "final_sigmas_type lambda_min_clipped solver_variance_type"},
     solver_defaults},
    {"DPMSolverSDEScheduler",
     ProcessKind::kDiscrete,
     "dpm-sde",
     kPlain,
     {kChain, kSpacing, kSigmas, "noise_sampler_seed", "", ""},
     sd_defaults},
    {"UniPCMultistepScheduler",
     ProcessKind::kDiscrete,
     "unipc",
     kPlain,
     {kChain, kThreshold, kSpacing, kSigmas, kFlowSigmas,
      "solver_order solver_type lower_order_final predict_x0 disable_corrector final_sigmas_type "
      "rescale_betas_zero_snr shift_terminal least_sigma largest_sigma"},
     [](SchedulerConfig& c) {
       solver_defaults(c);
       c.solver_type = "bh2";
     }},
    {"DEISMultistepScheduler",
     ProcessKind::kDiscrete,
     "deis",
     kPlain,
     {kChain, kThreshold, kSpacing, kSigmas, kFlowSigmas, kMultistep},
     [](SchedulerConfig& c) {
       solver_defaults(c);
       c.algorithm_type = "deis";
       c.solver_type = "logrho";
     },
     [](SchedulerConfig& c) {
       if (c.algorithm_type == "dpmsolver") c.algorithm_type = "deis";
     }},
    {"LMSDiscreteScheduler",
     ProcessKind::kDiscrete,
     "lms",
     kPlain,
     {kChain, kSpacing, kSigmas, "", "", ""},
     solver_defaults},
    {"EulerDiscreteScheduler",
     ProcessKind::kDiscrete,
     "euler",
     kPlain,
     {kChain, kSpacing, kSigmas,
      "interpolation_type timestep_type final_sigmas_type rescale_betas_zero_snr "
      "least_sigma largest_sigma",
      "", ""},
     solver_defaults},
    {"EulerAncestralDiscreteScheduler",
     ProcessKind::kDiscrete,
     "euler-ancestral",
     kPlain,
     {kChain, kSpacing, "rescale_betas_zero_snr", "", "", ""},
     solver_defaults},
    {"HeunDiscreteScheduler",
     ProcessKind::kDiscrete,
     "heun",
     kPlain,
     {kChain, kSpacing, kSigmas, kClip, "", ""},
     sd_defaults},
    {"KDPM2DiscreteScheduler",
     ProcessKind::kDiscrete,
     "kdpm2",
     kPlain,
     {kChain, kSpacing, kSigmas, "", "", ""},
     sd_defaults},
    {"KDPM2AncestralDiscreteScheduler",
     ProcessKind::kDiscrete,
     "kdpm2-ancestral",
     kPlain,
     {kChain, kSpacing, kSigmas, "", "", ""},
     sd_defaults},
    {"LCMScheduler",
     ProcessKind::kDiscrete,
     "lcm",
     kPlain,
     {kChain, kThreshold, kSpacing, kClip,
      "set_alpha_to_one original_inference_steps timestep_scaling rescale_betas_zero_snr", ""},
     [](SchedulerConfig& c) {
       c.beta_start = 0.00085;
       c.beta_end = 0.012;
       c.beta_schedule = "scaled_linear";
       c.clip_sample = false;
     }},
    {"ScoreSdeVeScheduler",
     ProcessKind::kVe,
     "pc",
     "ScoreSdeVePipeline",
     {"num_train_timesteps sigma_min sigma_max snr correct_steps sampling_eps ladder", "", "", "",
      "", ""},
     ve_defaults},
    {"ScoreSdeVpScheduler",
     ProcessKind::kVp,
     "em",
     "ScoreSdeVpPipeline",
     {"num_train_timesteps beta_min beta_max sampling_eps", "", "", "", "", ""},
     vp_defaults},
    // Not a class of diffusers, whose ScoreSdeVp scheduler's keys it has.
    {"ScoreSdeSubVpScheduler",
     ProcessKind::kSubVp,
     "em",
     "ScoreSdeVpPipeline",
     {"num_train_timesteps beta_min beta_max sampling_eps", "", "", "", "", ""},
     vp_defaults},
    {"EDMEulerScheduler",
     ProcessKind::kEdm,
     "edm-euler",
     kAny,
     {"num_train_timesteps sigma_min sigma_max sigma_data sigma_schedule prediction_type rho "
      "final_sigmas_type",
      "", "", "", "", ""},
     edm_defaults},
    {"EDMDPMSolverMultistepScheduler",
     ProcessKind::kEdm,
     "edm-dpm",
     kAny,
     {"num_train_timesteps sigma_min sigma_max sigma_data sigma_schedule prediction_type rho "
      "final_sigmas_type euler_at_final",
      kMultistep, kThreshold, "", "", ""},
     edm_defaults},
    {"FlowMatchEulerDiscreteScheduler",
     ProcessKind::kFlow,
     "flow-euler",
     kAny,
     {"num_train_timesteps shift use_dynamic_shifting base_shift max_shift base_image_seq_len "
      "max_image_seq_len invert_sigmas shift_terminal time_shift_type stochastic_sampling",
      kSigmas, "", "", "", ""},
     flow_defaults},
    {"FlowMatchHeunDiscreteScheduler",
     ProcessKind::kFlow,
     "flow-heun",
     kAny,
     {"num_train_timesteps shift", "", "", "", "", ""},
     flow_defaults},
    {"CMStochasticIterativeScheduler",
     ProcessKind::kConsistency,
     "consistency",
     "ConsistencyModelPipeline",
     {"num_train_timesteps sigma_min sigma_max sigma_data s_noise rho clip_denoised", "", "", "",
      "", ""},
     [](SchedulerConfig& c) {
       edm_defaults(c);
       c.num_train_timesteps = 40;
     }},
};

}  // namespace

bool owns_key(const SchedulerClass& row, std::string_view key) {
  for (std::string_view list : row.keys) {
    for (size_t at = 0; (at = list.find(key, at)) != std::string_view::npos; at += key.size()) {
      const bool starts = at == 0 || list[at - 1] == ' ';
      const size_t end = at + key.size();
      if (starts && (end == list.size() || list[end] == ' ')) return true;
    }
  }
  return false;
}

std::span<const SchedulerClass> scheduler_classes() { return kSchedulerClasses; }

const SchedulerClass* scheduler_class_called(std::string_view name) {
  for (const SchedulerClass& row : kSchedulerClasses)
    if (row.class_name == name) return &row;
  return nullptr;
}

// The class of a process and sampler; where the sampler is none of diffusers', the process's first.
const SchedulerClass& scheduler_class_of(ProcessKind process, const std::string& sampler) {
  const SchedulerClass* first = nullptr;
  for (const SchedulerClass& row : kSchedulerClasses) {
    if (row.process != process) continue;
    if (row.sampler == sampler) return row;
    if (first == nullptr) first = &row;
  }
  CHECK(first != nullptr, "a process without a scheduler class");
  return *first;
}

std::string known_scheduler_classes() {
  std::vector<std::string_view> names;
  for (const SchedulerClass& row : kSchedulerClasses) names.push_back(row.class_name);
  return joined(names);
}

SchedulerConfig class_defaults(const SchedulerClass& row) {
  SchedulerConfig config;
  config.process = row.process;
  config.sampler = row.sampler;
  row.defaults(config);
  return config;
}

}  // namespace ito
