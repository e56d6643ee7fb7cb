// The JSON forms of UNet2DConfig and SchedulerConfig, and the checks of their values.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>

#include "base/error.h"
#include "io/diffusers.h"

namespace ito {
namespace {

using Choices = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> kDownBlocks = {"DownBlock2D", "ResnetDownsampleBlock2D",
                                                         "AttnDownBlock2D", "SkipDownBlock2D",
                                                         "AttnSkipDownBlock2D"};
constexpr std::array<std::string_view, 5> kUpBlocks = {
    "UpBlock2D", "ResnetUpsampleBlock2D", "AttnUpBlock2D", "SkipUpBlock2D", "AttnSkipUpBlock2D"};
constexpr std::array<std::string_view, 1> kMidBlocks = {"UNetMidBlock2D"};
constexpr std::array<std::string_view, 5> kActivations = {"silu", "swish", "mish", "gelu", "relu"};
constexpr std::array<std::string_view, 4> kTimeEmbeddings = {"positional", "fourier", "learned",
                                                             "none"};
constexpr std::array<std::string_view, 2> kResampleTypes = {"conv", "resnet"};
constexpr std::array<std::string_view, 2> kTimeScaleShifts = {"default", "scale_shift"};
constexpr std::array<std::string_view, 2> kClassEmbeddings = {"timestep", "identity"};
constexpr std::array<std::string_view, 5> kBetaSchedules = {
    "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"};
constexpr std::array<std::string_view, 6> kVarianceTypes = {
    "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"};
constexpr std::array<std::string_view, 3> kPredictionTypes = {"epsilon", "sample", "v_prediction"};
constexpr std::array<std::string_view, 3> kSpacings = {"leading", "trailing", "linspace"};

constexpr int kMaxLayers = 1000;  // far beyond any model; keeps products inside an int
constexpr int kMaxChannels = 1 << 20;

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

template <typename T>
Status check_range(const std::string& where, const char* key, const std::optional<T>& value,
                   double low, double high) {
  return value ? check_range(where, key, static_cast<double>(*value), low, high) : Status();
}

// The names of blocks before diffusers 0.3.
std::vector<std::string> modern_blocks(std::vector<std::string> blocks) {
  for (std::string& block : blocks)
    if (block.starts_with("UNetRes")) block.erase(0, 7);
  return blocks;
}

// sample_size: null, one number for both sides, or [height, width].
Status read_value(JsonObject& object, const char* key, std::optional<std::array<int, 2>>* out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (value->is_null()) {
    out->reset();
    return {};
  }
  if (value->is_number_integer()) {
    int side = 0;
    ITO_TRY(object.read(key, &side));
    *out = {side, side};
    return {};
  }
  std::vector<int> sides;
  if (!object.read(key, &sides).ok() || sides.size() != 2)
    return object.wrong(key, "null, an integer or [height, width]");
  *out = {sides[0], sides[1]};
  return {};
}

template <typename T>
Status read_value(JsonObject& object, const char* key, T* out) {
  return object.read(key, out);
}

template <typename T>
Json write_value(const T& value) {
  return Json(value);
}

template <typename T>
Json write_value(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json write_value(const std::optional<std::array<int, 2>>& size) {
  if (!size) return Json(nullptr);
  return (*size)[0] == (*size)[1] ? Json((*size)[0]) : Json(*size);
}

// freq_shift, which diffusers declares, and its files hold, as an integer.
Json write_value(float value) {
  return value == std::nearbyint(value) ? Json(static_cast<int>(value)) : Json(value);
}

// One key of a config file: how it enters and leaves the struct.
template <typename Config>
struct Key {
  const char* name;
  Status (*read)(JsonObject&, const char*, Config*);
  Json (*write)(const Config&);
};

template <typename Config, auto kField>
constexpr Key<Config> key(const char* name) {
  return {name,
          [](JsonObject& o, const char* k, Config* c) { return read_value(o, k, &(c->*kField)); },
          [](const Config& c) { return write_value(c.*kField); }};
}

#define ITO_UNET_KEY(field) key<UNet2DConfig, &UNet2DConfig::field>(#field)
constexpr Key<UNet2DConfig> kUnetKeys[] = {
    ITO_UNET_KEY(sample_size),
    ITO_UNET_KEY(in_channels),
    ITO_UNET_KEY(out_channels),
    ITO_UNET_KEY(center_input_sample),
    ITO_UNET_KEY(time_embedding_type),
    ITO_UNET_KEY(time_embedding_dim),
    ITO_UNET_KEY(freq_shift),
    ITO_UNET_KEY(flip_sin_to_cos),
    ITO_UNET_KEY(down_block_types),
    ITO_UNET_KEY(mid_block_type),
    ITO_UNET_KEY(up_block_types),
    ITO_UNET_KEY(block_out_channels),
    ITO_UNET_KEY(layers_per_block),
    ITO_UNET_KEY(mid_block_scale_factor),
    ITO_UNET_KEY(downsample_padding),
    ITO_UNET_KEY(downsample_type),
    ITO_UNET_KEY(upsample_type),
    ITO_UNET_KEY(dropout),
    ITO_UNET_KEY(act_fn),
    ITO_UNET_KEY(attention_head_dim),
    ITO_UNET_KEY(norm_num_groups),
    ITO_UNET_KEY(attn_norm_num_groups),
    ITO_UNET_KEY(norm_eps),
    ITO_UNET_KEY(resnet_time_scale_shift),
    ITO_UNET_KEY(add_attention),
    ITO_UNET_KEY(class_embed_type),
    ITO_UNET_KEY(num_class_embeds),
    ITO_UNET_KEY(num_train_timesteps),
};
#undef ITO_UNET_KEY

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

Json parse_extra(const std::string& text) { return Json::parse(text, nullptr, false); }

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

Result<UNet2DConfig> parse_unet_config(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject o, JsonObject::open(json, where));
  std::string class_name = "UNet2DModel";
  ITO_TRY(o.read("_class_name", &class_name));
  constexpr std::array<std::string_view, 1> kClasses = {"UNet2DModel"};
  ITO_TRY(check_choice(where, "_class_name", class_name, kClasses));

  UNet2DConfig c;
  for (const Key<UNet2DConfig>& key : kUnetKeys) ITO_TRY(key.read(o, key.name, &c));
  ITO_TRY(o.read("sigma_data", &c.sigma_data));
  c.down_block_types = modern_blocks(std::move(c.down_block_types));
  c.up_block_types = modern_blocks(std::move(c.up_block_types));
  for (const std::string& key : o.unknown_keys()) c.extra[key] = dump_json_line(json[key]);
  ITO_TRY(validate_unet_config(c, where));
  return c;
}

Json unet_config_json(const UNet2DConfig& c) {
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : c.extra) json[key] = parse_extra(text);
  json["_class_name"] = "UNet2DModel";
  for (const Key<UNet2DConfig>& key : kUnetKeys) json[key.name] = key.write(c);
  // Left out where it is not used: diffusers does not know it.
  if (c.sigma_data) json["sigma_data"] = *c.sigma_data;
  return json;
}

Status validate_unet_config(const UNet2DConfig& c, const std::string& where) {
  if (c.sample_size)
    for (int side : *c.sample_size)
      ITO_TRY(check_range(where, "sample_size", side, 1, kMaxChannels));
  ITO_TRY(check_range(where, "in_channels", c.in_channels, 1, kMaxChannels));
  ITO_TRY(check_range(where, "out_channels", c.out_channels, 1, kMaxChannels));
  ITO_TRY(check_choice(where, "time_embedding_type", c.time_embedding_type, kTimeEmbeddings));
  ITO_TRY(check_range(where, "time_embedding_dim", c.time_embedding_dim, 1, kMaxChannels));
  ITO_TRY(check_range(where, "freq_shift", c.freq_shift, -1e6, 1e6));
  for (const std::string& block : c.down_block_types)
    ITO_TRY(check_choice(where, "down_block_types", block, kDownBlocks));
  if (c.mid_block_type)
    ITO_TRY(check_choice(where, "mid_block_type", *c.mid_block_type, kMidBlocks));
  for (const std::string& block : c.up_block_types)
    ITO_TRY(check_choice(where, "up_block_types", block, kUpBlocks));
  size_t blocks = c.block_out_channels.size();
  ITO_TRY(check_range(where, "block_out_channels (count)", static_cast<double>(blocks), 1, 30));
  if (c.down_block_types.size() != blocks)
    return corrupt("{}: key 'down_block_types' has {} entries, block_out_channels has {}", where,
                   c.down_block_types.size(), blocks);
  if (c.up_block_types.size() != blocks)
    return corrupt("{}: key 'up_block_types' has {} entries, block_out_channels has {}", where,
                   c.up_block_types.size(), blocks);
  for (int channels : c.block_out_channels)
    ITO_TRY(check_range(where, "block_out_channels", channels, 1, kMaxChannels));
  ITO_TRY(check_range(where, "layers_per_block", c.layers_per_block, 1, kMaxLayers));
  ITO_TRY(check_range(where, "downsample_padding", c.downsample_padding, 0, 1));
  ITO_TRY(check_choice(where, "downsample_type", c.downsample_type, kResampleTypes));
  ITO_TRY(check_choice(where, "upsample_type", c.upsample_type, kResampleTypes));
  ITO_TRY(check_range(where, "dropout", c.dropout, 0, 1));
  ITO_TRY(check_choice(where, "act_fn", c.act_fn, kActivations));
  ITO_TRY(check_range(where, "attention_head_dim", c.attention_head_dim, 1, kMaxChannels));
  ITO_TRY(check_range(where, "norm_num_groups", c.norm_num_groups, 1, kMaxChannels));
  ITO_TRY(check_range(where, "attn_norm_num_groups", c.attn_norm_num_groups, 1, kMaxChannels));
  ITO_TRY(check_range(where, "norm_eps", c.norm_eps, 0, 1));
  ITO_TRY(
      check_choice(where, "resnet_time_scale_shift", c.resnet_time_scale_shift, kTimeScaleShifts));
  if (c.class_embed_type)
    ITO_TRY(check_choice(where, "class_embed_type", *c.class_embed_type, kClassEmbeddings));
  ITO_TRY(check_range(where, "num_class_embeds", c.num_class_embeds, 1, 1 << 28));
  ITO_TRY(check_range(where, "num_train_timesteps", c.num_train_timesteps, 1, 1 << 28));
  if (c.time_embedding_type == "learned" && !c.num_train_timesteps)
    return corrupt(
        "{}: key 'num_train_timesteps': expected an integer because time_embedding_type is "
        "\"learned\", found null",
        where);

  // The NCSN++ blocks choose their own groups; all others split every width into norm_num_groups.
  for (size_t i = 0; i < blocks; ++i) {
    bool skip = c.down_block_types[i].find("Skip") != std::string::npos &&
                c.up_block_types[blocks - 1 - i].find("Skip") != std::string::npos;
    if (skip) continue;
    if (!c.norm_num_groups)
      return corrupt("{}: key 'norm_num_groups': null is possible with Skip blocks only", where);
    if (c.block_out_channels[i] % *c.norm_num_groups != 0)
      return corrupt("{}: key 'block_out_channels': {} is no multiple of norm_num_groups {}", where,
                     c.block_out_channels[i], *c.norm_num_groups);
  }
  // Widths that carry attention split into heads of attention_head_dim.
  for (size_t i = 0; i < blocks && c.attention_head_dim; ++i) {
    bool attention = c.down_block_types[i].starts_with("Attn") ||
                     c.up_block_types[blocks - 1 - i].starts_with("Attn") ||
                     (i + 1 == blocks && c.mid_block_type && c.add_attention);
    if (attention && c.block_out_channels[i] % *c.attention_head_dim != 0)
      return unsupported(
          "{}: key 'attention_head_dim': {} does not divide the {} channels of block {}", where,
          *c.attention_head_dim, c.block_out_channels[i], i);
  }
  return {};
}

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

}  // namespace ito
