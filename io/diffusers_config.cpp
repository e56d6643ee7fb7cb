// The JSON form of SchedulerConfig, and the checks of its values.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>

#include "base/error.h"
#include "io/config_keys.h"
#include "io/diffusers.h"

namespace ito {
namespace {

using Choices = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> kBetaSchedules = {
    "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"};
constexpr std::array<std::string_view, 6> kVarianceTypes = {
    "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"};
constexpr std::array<std::string_view, 3> kPredictionTypes = {"epsilon", "sample", "v_prediction"};
constexpr std::array<std::string_view, 3> kSpacings = {"leading", "trailing", "linspace"};

constexpr int kMaxCorrectorSteps = 1000;

std::string known(Choices choices) {
  std::string text;
  for (std::string_view choice : choices) text += (text.empty() ? "" : ", ") + std::string(choice);
  return text;
}

Status check_choice(const std::string& where, const char* key, const std::string& value,
                    Choices choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return unsupported("{}: key '{}': unknown value \"{}\"; known are {}", where, key, value,
                     known(choices));
}

Status check_range(const std::string& where, const char* key, double value, double low,
                   double high) {
  if (value >= low && value <= high) return {};
  return corrupt("{}: key '{}': expected a number from {} to {}, found {}", where, key, low, high,
                 value);
}

#define ITO_SCHEDULER_KEY(field) key<SchedulerConfig, &SchedulerConfig::field>(#field)
constexpr Key<SchedulerConfig> kSchedulerKeys[] = {
    ITO_SCHEDULER_KEY(num_train_timesteps),
    ITO_SCHEDULER_KEY(beta_start),
    ITO_SCHEDULER_KEY(beta_end),
    ITO_SCHEDULER_KEY(beta_schedule),
    ITO_SCHEDULER_KEY(trained_betas),
    ITO_SCHEDULER_KEY(variance_type),
    ITO_SCHEDULER_KEY(clip_sample),
    ITO_SCHEDULER_KEY(clip_sample_range),
    ITO_SCHEDULER_KEY(prediction_type),
    ITO_SCHEDULER_KEY(thresholding),
    ITO_SCHEDULER_KEY(dynamic_thresholding_ratio),
    ITO_SCHEDULER_KEY(sample_max_value),
    ITO_SCHEDULER_KEY(timestep_spacing),
    ITO_SCHEDULER_KEY(steps_offset),
    ITO_SCHEDULER_KEY(rescale_betas_zero_snr),
    ITO_SCHEDULER_KEY(set_alpha_to_one),
    ITO_SCHEDULER_KEY(sigma_min),
    ITO_SCHEDULER_KEY(sigma_max),
    ITO_SCHEDULER_KEY(snr),
    ITO_SCHEDULER_KEY(correct_steps),
    ITO_SCHEDULER_KEY(beta_min),
    ITO_SCHEDULER_KEY(beta_max),
    ITO_SCHEDULER_KEY(sampling_eps),
    ITO_SCHEDULER_KEY(sigma_data),
    ITO_SCHEDULER_KEY(rho),
};
#undef ITO_SCHEDULER_KEY

constexpr std::string_view kVeKeys[] = {"num_train_timesteps", "sigma_min",   "sigma_max", "snr",
                                        "correct_steps",       "sampling_eps"};
constexpr std::string_view kVpKeys[] = {"num_train_timesteps", "beta_min", "beta_max",
                                        "sampling_eps"};

constexpr std::string_view kEdmKeys[] = {"num_train_timesteps", "sigma_min",       "sigma_max",
                                         "sigma_data",          "prediction_type", "rho"};

bool contains(Choices keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool is_known_class(std::string_view class_name) {
  return class_name == "DDPMScheduler" || class_name == "DDIMScheduler" ||
         is_score_scheduler(class_name);
}

// Whether a class of scheduler has the key in its own config; other keys are kept as text.
bool owns_key(std::string_view class_name, std::string_view key) {
  if (class_name == "ScoreSdeVeScheduler") return contains(kVeKeys, key);
  if (is_edm_scheduler(class_name)) return contains(kEdmKeys, key);
  if (is_score_scheduler(class_name)) return contains(kVpKeys, key);
  const bool of_chain =
      key == "num_train_timesteps" || key == "prediction_type" ||
      (!contains(kVeKeys, key) && !contains(kVpKeys, key) && !contains(kEdmKeys, key));
  if (class_name == "DDPMScheduler") return of_chain && key != "set_alpha_to_one";
  if (class_name == "DDIMScheduler") return of_chain && key != "variance_type";
  return false;
}

}  // namespace

Result<SchedulerConfig> parse_scheduler_config(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject o, JsonObject::open(json, where));
  SchedulerConfig c;
  ITO_TRY(o.read("_class_name", &c.class_name));
  // Before diffusers 0.10 the prediction was a switch.
  bool predict_epsilon = true;
  ITO_TRY(o.read("predict_epsilon", &predict_epsilon));
  if (!predict_epsilon) c.prediction_type = "sample";

  if (is_score_scheduler(c.class_name)) {
    c.num_train_timesteps = 2000;
    c.sampling_eps = c.class_name == "ScoreSdeVeScheduler" ? 1e-5 : 1e-3;
  }
  if (is_edm_scheduler(c.class_name)) {
    c.num_train_timesteps = 1000;
    c.sigma_min = 0.002;
    c.sigma_max = 80;
  }
  const bool foreign = !is_known_class(c.class_name);
  std::set<std::string> owned = {"_class_name", "predict_epsilon"};
  for (const Key<SchedulerConfig>& key : kSchedulerKeys) {
    Status status = key.read(o, key.name, &c);
    // Another class may give a key another meaning; it is then only kept.
    if (!status.ok() && !foreign) return std::move(status).error();
    if (owns_key(c.class_name, key.name)) owned.insert(key.name);
  }
  if (c.class_name == "ScoreSdeVeScheduler") {
    ITO_TRY(o.read("ladder", &c.ladder));
    owned.insert("ladder");
  }
  for (const auto& [key, value] : json.items())
    if (!owned.contains(key)) c.extra[key] = dump_json_line(value);
  if (!foreign) ITO_TRY(validate_scheduler_config(c, where));
  return c;
}

Json scheduler_config_json(const SchedulerConfig& c) {
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : c.extra) json[key] = parse_extra(text);
  json["_class_name"] = c.class_name;
  for (const Key<SchedulerConfig>& key : kSchedulerKeys)
    if (owns_key(c.class_name, key.name)) json[key.name] = key.write(c);
  if (c.ladder) json["ladder"] = true;
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
  ITO_TRY(check_range(where, "clip_sample_range", c.clip_sample_range, 0, 1e30));
  ITO_TRY(check_choice(where, "prediction_type", c.prediction_type, kPredictionTypes));
  ITO_TRY(check_range(where, "dynamic_thresholding_ratio", c.dynamic_thresholding_ratio, 0, 1));
  ITO_TRY(check_range(where, "sample_max_value", c.sample_max_value, 0, 1e30));
  ITO_TRY(check_choice(where, "timestep_spacing", c.timestep_spacing, kSpacings));
  ITO_TRY(check_range(where, "steps_offset", c.steps_offset, -(1 << 20), 1 << 20));
  if (!is_score_scheduler(c.class_name)) return {};
  ITO_TRY(check_range(where, "sigma_min", c.sigma_min, 0, 1e30));
  ITO_TRY(check_range(where, "sigma_max", c.sigma_max, 0, 1e30));
  ITO_TRY(check_range(where, "beta_min", c.beta_min, 0, 1e30));
  ITO_TRY(check_range(where, "beta_max", c.beta_max, 0, 1e30));
  ITO_TRY(check_range(where, "sampling_eps", c.sampling_eps, 0, 1));
  ITO_TRY(check_range(where, "snr", c.snr, 0, 1e30));
  ITO_TRY(check_range(where, "correct_steps", c.correct_steps, 0, kMaxCorrectorSteps));
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

}  // namespace ito
