#include "io/scheduler_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "io/config_keys.h"
#include "io/scheduler_classes.h"

namespace ito {
namespace {

// What a key is called here where two classes mean different things by one name in a file.
struct NamedKey {
  std::string_view name;  // in SchedulerClass::keys
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

// What a discrete chain is made of.
constexpr const char* kBetas[] = {"beta_start", "beta_end", "beta_schedule", "trained_betas"};

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

}  // namespace

Result<SchedulerConfig> parse_scheduler_config(const Json& json, const std::string& where,
                                               const MissingClass& missing) {
  ITO_ASSIGN(JsonObject o, JsonObject::open(json, where));
  const bool betas = std::any_of(std::begin(kBetas), std::end(kBetas), [&](const char* key) {
    return json.contains(key) && !json[key].is_null();
  });
  const std::string ddpm = scheduler_class_of(ProcessKind::kDiscrete, "ddpm").class_name;
  ITO_ASSIGN(const std::string class_name,
             class_of_config(o, where, betas ? ddpm : std::string(), missing));
  const SchedulerClass* row = scheduler_class_called(class_name);
  if (row == nullptr)
    return unsupported(
        "{}: key '_class_name': the scheduler \"{}\" is not known; known are {}. To sample with "
        "another scheduler's steps, write its configuration beside the model",
        where, class_name, known_scheduler_classes());
  SchedulerConfig c = class_defaults(*row);
  std::set<std::string> owned = {"_class_name"};
  // Before diffusers 0.10 the prediction was a switch.
  if (owns_key(*row, "prediction_type")) {
    bool predict_epsilon = true;
    ITO_TRY(o.read("predict_epsilon", &predict_epsilon));
    if (!predict_epsilon) c.prediction_type = "sample";
    owned.insert("predict_epsilon");
  }
  for (const NamedKey& named : kKeys) {
    if (!owns_key(*row, named.name)) continue;
    ITO_TRY(named.key.read(o, named.key.name, &c));
    owned.insert(named.key.name);
  }
  if (row->modernise != nullptr) row->modernise(c);
  // Not every chain's own, but what says whether the network has variance channels.
  if (owns_key(*row, "beta_schedule") && !owned.contains("variance_type"))
    ITO_TRY(o.read("variance_type", &c.variance_type));
  for (const auto& [key, value] : json.items())
    if (!owned.contains(key)) c.extra[key] = dump_json_line(value);
  ITO_TRY(validate_scheduler_config(c, where));
  return c;
}

Json scheduler_config_json(const SchedulerConfig& c) {
  const SchedulerClass& row = scheduler_class_of(c.process, c.sampler);
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : c.extra) json[key] = parse_extra(text);
  json["_class_name"] = row.class_name;
  for (const NamedKey& named : kKeys)
    if (owns_key(row, named.name)) json[named.key.name] = named.key.write(c);
  // Left out where they say nothing, or are Ito's own.
  if (!c.ladder) json.erase("ladder");
  if (!std::isfinite(c.lambda_min_clipped)) json.erase("lambda_min_clipped");
  return json;
}

std::vector<std::string> unknown_scheduler_keys(const SchedulerConfig& c) {
  // "tensor_format" and the old switch of the prediction are of releases that wrote them always.
  constexpr std::string_view kOld[] = {"tensor_format", "predict_epsilon"};
  std::vector<std::string> keys;
  for (const auto& [key, text] : c.extra) {
    const auto is = [&name = key](const NamedKey& named) { return name == named.key.name; };
    if (key.starts_with('_') || text == "null" ||
        std::any_of(std::begin(kKeys), std::end(kKeys), is) ||
        std::find(std::begin(kOld), std::end(kOld), key) != std::end(kOld))
      continue;
    keys.push_back(key);
  }
  return keys;
}

std::span<const SchedulerKeyValues> scheduler_key_values() {
  static const SchedulerKeyValues kRows[] = {
      {"beta_schedule",
       {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"},
       [](const SchedulerConfig& c) { return c.beta_schedule; }},
      {"variance_type",
       {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned",
        "learned_range"},
       [](const SchedulerConfig& c) { return c.variance_type; }},
      {"variance_type",  // of DPM-Solver's classes
       {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned",
        "learned_range"},
       [](const SchedulerConfig& c) { return c.solver_variance_type.value_or(c.variance_type); }},
      {"prediction_type",
       {"epsilon", "sample", "v_prediction", "flow_prediction"},
       [](const SchedulerConfig& c) { return c.prediction_type; }},
      {"timestep_spacing",
       {"leading", "trailing", "linspace"},
       [](const SchedulerConfig& c) { return c.timestep_spacing; }},
      {"final_sigmas_type",
       {"zero", "sigma_min"},
       [](const SchedulerConfig& c) { return c.final_sigmas_type; }},
      {"interpolation_type",
       {"linear", "log_linear"},
       [](const SchedulerConfig& c) { return c.interpolation_type; }},
      {"timestep_type",
       {"discrete", "continuous"},
       [](const SchedulerConfig& c) { return c.timestep_type; }},
      {"algorithm_type",
       {"dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver", "deis"},
       [](const SchedulerConfig& c) { return c.algorithm_type; }},
      {"solver_type",
       {"midpoint", "heun", "bh1", "bh2", "logrho"},
       [](const SchedulerConfig& c) { return c.solver_type; }},
      {"sigma_schedule",
       {"karras", "exponential"},
       [](const SchedulerConfig& c) { return c.sigma_schedule; }},
      {"time_shift_type",
       {"exponential", "linear"},
       [](const SchedulerConfig& c) { return c.time_shift_type; }},
  };
  return kRows;
}

Status validate_scheduler_config(const SchedulerConfig& c, const std::string& where) {
  for (const SchedulerKeyValues& row : scheduler_key_values())
    ITO_TRY(check_choice(where, row.key, row.value(c), row.values));
  ITO_TRY(check_range(where, "num_train_timesteps", c.num_train_timesteps, 1, 1 << 20));
  ITO_TRY(check_range(where, "beta_start", c.beta_start, 0, 1));
  ITO_TRY(check_range(where, "beta_end", c.beta_end, 0, 1));
  if (c.trained_betas) {
    if (c.trained_betas->size() != static_cast<size_t>(c.num_train_timesteps))
      return corrupt("{}: key 'trained_betas' has {} entries, num_train_timesteps is {}", where,
                     c.trained_betas->size(), c.num_train_timesteps);
    for (double beta : *c.trained_betas) ITO_TRY(check_range(where, "trained_betas", beta, 0, 1));
  }
  ITO_TRY(check_range(where, "clip_sample_range", c.clip_sample_range, 0, 1e30));
  ITO_TRY(check_range(where, "dynamic_thresholding_ratio", c.dynamic_thresholding_ratio, 0, 1));
  ITO_TRY(check_range(where, "sample_max_value", c.sample_max_value, 0, 1e30));
  ITO_TRY(check_range(where, "steps_offset", c.steps_offset, -(1 << 20), 1 << 20));
  ITO_TRY(check_range(where, "sigma_min", c.least_sigma, 0, 1e30));
  ITO_TRY(check_range(where, "sigma_max", c.largest_sigma, 0, 1e30));
  ITO_TRY(check_range(where, "flow_shift", c.flow_shift, 1e-30, 1e30));
  ITO_TRY(check_range(where, "solver_order", c.solver_order, 1, 3));
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

Result<SchedulerConfig> read_scheduler_file(const Path& path, const MissingClass& missing) {
  ITO_ASSIGN(const std::string text, read_file(path));
  ITO_ASSIGN(const Json json, parse_json(quote_infinities(text), path.string()));
  return parse_scheduler_config(json, path.string(), missing);
}

Result<SchedulerConfig> as_sampler(const SchedulerConfig& config, const std::string& sampler) {
  Json json = scheduler_config_json(config);
  json["_class_name"] = scheduler_class_of(config.process, sampler).class_name;
  ITO_ASSIGN(SchedulerConfig result,
             parse_scheduler_config(json, "the model's scheduler as " + sampler));
  result.sampler = sampler;
  return result;
}

std::string scheduler_class_name(const SchedulerConfig& config) {
  return scheduler_class_of(config.process, config.sampler).class_name;
}

std::string scheduler_pipeline_name(const SchedulerConfig& config) {
  return scheduler_class_of(config.process, config.sampler).pipeline;
}

}  // namespace ito
