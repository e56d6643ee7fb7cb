#include "io/scheduler_config.h"

#include <array>
#include <limits>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "io/config_keys.h"

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

struct ClassRow {
  const char* class_name;
  ProcessKind process;
  const char* sampler;
  const char* pipeline;
  std::array<std::string_view, 6> keys;  // lists of names of kKeys
  void (*defaults)(SchedulerConfig&);
};

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

void score_defaults(SchedulerConfig& c) {
  c.num_train_timesteps = 2000;
  c.sampling_eps = c.process == ProcessKind::kVe ? 1e-5 : 1e-3;
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
const ClassRow kClasses[] = {
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
     score_defaults},
    {"ScoreSdeVpScheduler",
     ProcessKind::kVp,
     "em",
     "ScoreSdeVpPipeline",
     {"num_train_timesteps beta_min beta_max sampling_eps", "", "", "", "", ""},
     score_defaults},
    // Not a class of diffusers, whose ScoreSdeVp scheduler's keys it has.
    {"ScoreSdeSubVpScheduler",
     ProcessKind::kSubVp,
     "em",
     "ScoreSdeVpPipeline",
     {"num_train_timesteps beta_min beta_max sampling_eps", "", "", "", "", ""},
     score_defaults},
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

// What a key is called here where two classes mean different things by one name in a file.
struct NamedKey {
  std::string_view name;  // in ClassRow::keys
  Key<SchedulerConfig> key;
};

// A number that Python may have written as an infinity.
Status read_lambda(JsonObject& o, const char* key, SchedulerConfig* c) {
  const Json* value = o.find(key);
  if (value == nullptr) return {};
  if (value->is_string() && (*value == "-inf")) {
    c->lambda_min_clipped = -std::numeric_limits<double>::infinity();
    return {};
  }
  return o.read(key, &c->lambda_min_clipped);
}
Json write_lambda(const SchedulerConfig& c) {
  return std::isfinite(c.lambda_min_clipped) ? Json(c.lambda_min_clipped) : Json(nullptr);
}

#define ITO_KEY(field) \
  { #field, key < SchedulerConfig, &SchedulerConfig::field>(#field) }
#define ITO_KEY_AS(field, file) \
  { #field, key < SchedulerConfig, &SchedulerConfig::field>(file) }
const NamedKey kKeys[] = {
    ITO_KEY(num_train_timesteps),
    ITO_KEY(prediction_type),
    ITO_KEY(beta_start),
    ITO_KEY(beta_end),
    ITO_KEY(beta_schedule),
    ITO_KEY(trained_betas),
    ITO_KEY(rescale_betas_zero_snr),
    ITO_KEY(timestep_spacing),
    ITO_KEY(steps_offset),
    ITO_KEY(set_alpha_to_one),
    ITO_KEY(clip_sample),
    ITO_KEY(clip_sample_range),
    ITO_KEY(thresholding),
    ITO_KEY(dynamic_thresholding_ratio),
    ITO_KEY(sample_max_value),
    ITO_KEY(variance_type),
    ITO_KEY_AS(solver_variance_type, "variance_type"),
    ITO_KEY(use_karras_sigmas),
    ITO_KEY(use_exponential_sigmas),
    ITO_KEY(use_beta_sigmas),
    ITO_KEY(use_lu_lambdas),
    ITO_KEY(use_flow_sigmas),
    ITO_KEY(flow_shift),
    ITO_KEY(final_sigmas_type),
    ITO_KEY(interpolation_type),
    ITO_KEY(timestep_type),
    ITO_KEY_AS(least_sigma, "sigma_min"),
    ITO_KEY_AS(largest_sigma, "sigma_max"),
    ITO_KEY(solver_order),
    ITO_KEY(algorithm_type),
    ITO_KEY(solver_type),
    ITO_KEY(lower_order_final),
    ITO_KEY(euler_at_final),
    {"lambda_min_clipped", {"lambda_min_clipped", read_lambda, write_lambda}},
    ITO_KEY(predict_x0),
    ITO_KEY(disable_corrector),
    ITO_KEY(noise_sampler_seed),
    ITO_KEY(skip_prk_steps),
    ITO_KEY(original_inference_steps),
    ITO_KEY(timestep_scaling),
    ITO_KEY(sigma_min),
    ITO_KEY(sigma_max),
    ITO_KEY(sigma_data),
    ITO_KEY(rho),
    ITO_KEY(sigma_schedule),
    ITO_KEY(s_noise),
    ITO_KEY(clip_denoised),
    ITO_KEY(snr),
    ITO_KEY(correct_steps),
    ITO_KEY(beta_min),
    ITO_KEY(beta_max),
    ITO_KEY(sampling_eps),
    ITO_KEY(ladder),
    ITO_KEY(shift),
    ITO_KEY(use_dynamic_shifting),
    ITO_KEY(base_shift),
    ITO_KEY(max_shift),
    ITO_KEY(base_image_seq_len),
    ITO_KEY(max_image_seq_len),
    ITO_KEY(invert_sigmas),
    ITO_KEY(shift_terminal),
    ITO_KEY(time_shift_type),
    ITO_KEY(stochastic_sampling),
};
#undef ITO_KEY
#undef ITO_KEY_AS

bool owns(const ClassRow& row, std::string_view key) {
  for (std::string_view list : row.keys) {
    for (size_t at = 0; (at = list.find(key, at)) != std::string_view::npos; at += key.size()) {
      const bool starts = at == 0 || list[at - 1] == ' ';
      const size_t end = at + key.size();
      if (starts && (end == list.size() || list[end] == ' ')) return true;
    }
  }
  return false;
}

const ClassRow* class_called(std::string_view name) {
  for (const ClassRow& row : kClasses)
    if (row.class_name == name) return &row;
  return nullptr;
}

// The class of a process and sampler; where the sampler is none of diffusers', the process's first.
const ClassRow& class_of(ProcessKind process, const std::string& sampler) {
  const ClassRow* first = nullptr;
  for (const ClassRow& row : kClasses) {
    if (row.process != process) continue;
    if (row.sampler == sampler) return row;
    if (first == nullptr) first = &row;
  }
  CHECK(first != nullptr, "a process without a scheduler class");
  return *first;
}

std::string known_classes() {
  std::string names;
  for (const ClassRow& row : kClasses)
    names += (names.empty() ? "" : ", ") + std::string(row.class_name);
  return names;
}

SchedulerConfig defaults_of(const ClassRow& row) {
  SchedulerConfig config;
  config.process = row.process;
  config.sampler = row.sampler;
  row.defaults(config);
  return config;
}

// The bare words Infinity and -Infinity outside strings as the strings "inf" and "-inf".
std::string quote_infinities(std::string_view text) {
  constexpr std::string_view kWord = "Infinity";
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      result += text[i++];
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && text.substr(i, kWord.size()) == kWord) {
      const bool negative = !result.empty() && result.back() == '-';
      if (negative) result.pop_back();
      result += negative ? "\"-inf\"" : "\"inf\"";
      i += kWord.size() - 1;
      continue;
    }
    result += text[i];
  }
  return result;
}

constexpr std::array<std::string_view, 5> kBetaSchedules = {
    "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"};
constexpr std::array<std::string_view, 6> kVarianceTypes = {
    "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"};
constexpr std::array<std::string_view, 4> kPredictionTypes = {"epsilon", "sample", "v_prediction",
                                                              "flow_prediction"};
constexpr std::array<std::string_view, 3> kSpacings = {"leading", "trailing", "linspace"};
constexpr std::array<std::string_view, 2> kFinalSigmas = {"zero", "sigma_min"};
constexpr std::array<std::string_view, 2> kInterpolations = {"linear", "log_linear"};
constexpr std::array<std::string_view, 2> kTimestepTypes = {"discrete", "continuous"};
constexpr std::array<std::string_view, 5> kAlgorithms = {
    "dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver", "deis"};
constexpr std::array<std::string_view, 5> kSolvers = {"midpoint", "heun", "bh1", "bh2", "logrho"};
constexpr std::array<std::string_view, 2> kSigmaSchedules = {"karras", "exponential"};
constexpr std::array<std::string_view, 2> kTimeShifts = {"exponential", "linear"};

// Values that earlier releases wrote and diffusers replaces when it reads them.
void replace_old_values(const ClassRow& row, SchedulerConfig& c) {
  if (owns(row, "algorithm_type") && c.algorithm_type == "dpmsolver" &&
      row.sampler == std::string("deis"))
    c.algorithm_type = "deis";
}

}  // namespace

Result<SchedulerConfig> parse_scheduler_config(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject o, JsonObject::open(json, where));
  std::string class_name = kClasses[0].class_name;
  ITO_TRY(o.read("_class_name", &class_name));
  const ClassRow* row = class_called(class_name);
  if (row == nullptr)
    return unsupported(
        "{}: key '_class_name': the scheduler \"{}\" is not known; known are {}. To sample with "
        "another scheduler's steps, write its configuration beside the model",
        where, class_name, known_classes());
  SchedulerConfig c = defaults_of(*row);
  std::set<std::string> owned = {"_class_name"};
  // Before diffusers 0.10 the prediction was a switch.
  if (owns(*row, "prediction_type")) {
    bool predict_epsilon = true;
    ITO_TRY(o.read("predict_epsilon", &predict_epsilon));
    if (!predict_epsilon) c.prediction_type = "sample";
    owned.insert("predict_epsilon");
  }
  for (const NamedKey& named : kKeys) {
    if (!owns(*row, named.name)) continue;
    ITO_TRY(named.key.read(o, named.key.name, &c));
    owned.insert(named.key.name);
  }
  replace_old_values(*row, c);
  // Not everybody's own, but what says whether the network has variance channels.
  if (c.process == ProcessKind::kDiscrete && !owned.contains("variance_type"))
    ITO_TRY(o.read("variance_type", &c.variance_type));
  for (const auto& [key, value] : json.items())
    if (!owned.contains(key)) c.extra[key] = dump_json_line(value);
  ITO_TRY(validate_scheduler_config(c, where));
  return c;
}

Json scheduler_config_json(const SchedulerConfig& c) {
  const ClassRow& row = class_of(c.process, c.sampler);
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : c.extra) json[key] = parse_extra(text);
  json["_class_name"] = row.class_name;
  for (const NamedKey& named : kKeys)
    if (owns(row, named.name)) json[named.key.name] = named.key.write(c);
  // Left out where they say nothing, or are Ito's own.
  if (!c.ladder) json.erase("ladder");
  if (!std::isfinite(c.lambda_min_clipped)) json.erase("lambda_min_clipped");
  return json;
}

Status validate_scheduler_config(const SchedulerConfig& c, const std::string& where) {
  ITO_TRY(check_range(where, "num_train_timesteps", c.num_train_timesteps, 1, 1 << 20));
  ITO_TRY(check_range(where, "beta_start", c.beta_start, 0, 1));
  ITO_TRY(check_range(where, "beta_end", c.beta_end, 0, 1));
  ITO_TRY(check_choice(where, "beta_schedule", c.beta_schedule, kBetaSchedules));
  if (c.trained_betas) {
    if (c.trained_betas->size() != static_cast<size_t>(c.num_train_timesteps))
      return corrupt("{}: key 'trained_betas' has {} entries, num_train_timesteps is {}", where,
                     c.trained_betas->size(), c.num_train_timesteps);
    for (double beta : *c.trained_betas) ITO_TRY(check_range(where, "trained_betas", beta, 0, 1));
  }
  ITO_TRY(check_choice(where, "variance_type", c.variance_type, kVarianceTypes));
  if (c.solver_variance_type)
    ITO_TRY(check_choice(where, "variance_type", *c.solver_variance_type, kVarianceTypes));
  ITO_TRY(check_range(where, "clip_sample_range", c.clip_sample_range, 0, 1e30));
  ITO_TRY(check_choice(where, "prediction_type", c.prediction_type, kPredictionTypes));
  ITO_TRY(check_range(where, "dynamic_thresholding_ratio", c.dynamic_thresholding_ratio, 0, 1));
  ITO_TRY(check_range(where, "sample_max_value", c.sample_max_value, 0, 1e30));
  ITO_TRY(check_choice(where, "timestep_spacing", c.timestep_spacing, kSpacings));
  ITO_TRY(check_range(where, "steps_offset", c.steps_offset, -(1 << 20), 1 << 20));
  ITO_TRY(check_choice(where, "final_sigmas_type", c.final_sigmas_type, kFinalSigmas));
  ITO_TRY(check_choice(where, "interpolation_type", c.interpolation_type, kInterpolations));
  ITO_TRY(check_choice(where, "timestep_type", c.timestep_type, kTimestepTypes));
  ITO_TRY(check_range(where, "sigma_min", c.least_sigma, 0, 1e30));
  ITO_TRY(check_range(where, "sigma_max", c.largest_sigma, 0, 1e30));
  ITO_TRY(check_range(where, "flow_shift", c.flow_shift, 1e-30, 1e30));
  ITO_TRY(check_range(where, "solver_order", c.solver_order, 1, 3));
  ITO_TRY(check_choice(where, "algorithm_type", c.algorithm_type, kAlgorithms));
  ITO_TRY(check_choice(where, "solver_type", c.solver_type, kSolvers));
  ITO_TRY(check_choice(where, "sigma_schedule", c.sigma_schedule, kSigmaSchedules));
  ITO_TRY(check_choice(where, "time_shift_type", c.time_shift_type, kTimeShifts));
  ITO_TRY(check_range(where, "original_inference_steps", c.original_inference_steps, 1, 1 << 20));
  ITO_TRY(check_range(where, "timestep_scaling", c.timestep_scaling, 0, 1e30));
  ITO_TRY(check_range(where, "shift", c.shift, 1e-30, 1e30));
  ITO_TRY(check_range(where, "s_noise", c.s_noise, 0, 1e30));
  if (c.use_karras_sigmas + c.use_exponential_sigmas + c.use_beta_sigmas + c.use_lu_lambdas > 1)
    return corrupt(
        "{}: more than one of the keys use_karras_sigmas, use_exponential_sigmas, "
        "use_beta_sigmas and use_lu_lambdas is true; expected at most one",
        where);
  ITO_TRY(check_range(where, "sigma_min", c.sigma_min, 0, 1e30));
  ITO_TRY(check_range(where, "sigma_max", c.sigma_max, 0, 1e30));
  ITO_TRY(check_range(where, "beta_min", c.beta_min, 0, 1e30));
  ITO_TRY(check_range(where, "beta_max", c.beta_max, 0, 1e30));
  ITO_TRY(check_range(where, "sampling_eps", c.sampling_eps, 0, 1));
  ITO_TRY(check_range(where, "snr", c.snr, 0, 1e30));
  ITO_TRY(check_range(where, "correct_steps", c.correct_steps, 0, kMaxLayers));
  ITO_TRY(check_range(where, "sigma_data", c.sigma_data, 1e-30, 1e30));
  ITO_TRY(check_range(where, "rho", c.rho, 1e-30, 1e30));
  if (c.sigma_min <= 0 || c.sigma_min >= c.sigma_max)
    return corrupt(
        "{}: keys 'sigma_min' and 'sigma_max': expected 0 < sigma_min < sigma_max, "
        "found {} and {}",
        where, c.sigma_min, c.sigma_max);
  if (c.beta_max <= 0 || c.beta_min > c.beta_max)
    return corrupt(
        "{}: keys 'beta_min' and 'beta_max': expected 0 <= beta_min <= beta_max and "
        "0 < beta_max, found {} and {}",
        where, c.beta_min, c.beta_max);
  return {};
}

Result<SchedulerConfig> read_scheduler_file(const Path& path) {
  ITO_ASSIGN(const std::string text, read_file(path));
  ITO_ASSIGN(const Json json, parse_json(quote_infinities(text), path.string()));
  return parse_scheduler_config(json, path.string());
}

Result<SchedulerConfig> as_sampler(const SchedulerConfig& config, const std::string& sampler) {
  Json json = scheduler_config_json(config);
  json["_class_name"] = class_of(config.process, sampler).class_name;
  ITO_ASSIGN(SchedulerConfig result,
             parse_scheduler_config(json, "the model's scheduler as " + sampler));
  result.sampler = sampler;
  return result;
}

std::string scheduler_class_name(const SchedulerConfig& config) {
  return class_of(config.process, config.sampler).class_name;
}

std::string scheduler_pipeline_name(const SchedulerConfig& config) {
  return class_of(config.process, config.sampler).pipeline;
}

}  // namespace ito
