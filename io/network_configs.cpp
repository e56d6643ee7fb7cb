// The JSON forms of Ito's own networks. Every key has to be there.
#include "io/network_configs.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/error.h"

namespace ito {
namespace {

Status read_image_classifier(JsonObject& object, ClassifierConfig* config) {
  for (const char* key : {"in_channels", "classes", "norm_groups", "channels", "size"})
    ITO_TRY(object.require(key));
  std::vector<int> channels;
  ITO_TRY(object.read("in_channels", &config->in_channels));
  ITO_TRY(object.read("classes", &config->classes));
  ITO_TRY(object.read("norm_groups", &config->norm_groups));
  ITO_TRY(object.read("channels", &channels));
  int size = 0;
  ITO_TRY(object.read("size", &size));
  config->image_size = size;
  config->channels.assign(channels.begin(), channels.end());
  return {};
}

constexpr const char* kValuesKey = "config";

// Nothing for a value of another kind.
std::optional<ConfigValue> config_value(const Json& json) {
  if (json.is_boolean()) return ConfigValue(json.get<bool>());
  if (json.is_string()) return ConfigValue(json.get<std::string>());
  if (json.is_number_float()) return ConfigValue(json.get<double>());
  const auto fits = [](const Json& number) {
    return number.is_number_integer() &&
           (!number.is_number_unsigned() ||
            number.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
  };
  if (fits(json)) return ConfigValue(json.get<int64_t>());
  if (!json.is_array() || !std::all_of(json.begin(), json.end(), fits)) return {};
  return ConfigValue(json.get<std::vector<int64_t>>());
}

}  // namespace

Result<ConfigValues> parse_config_values(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  ITO_TRY(object.require(kValuesKey));
  const Json& config = *object.find(kValuesKey);
  if (!config.is_object()) return object.wrong(kValuesKey, "an object of plain values");
  ConfigValues values;
  for (const auto& [key, value] : config.items()) {
    const std::optional<ConfigValue> plain = config_value(value);
    if (!plain)
      return corrupt(
          "{}: key '{}': expected a number, a text, true, false or a list of integers, found {}",
          where, key, describe_json(value));
    values.values[key] = *plain;
  }
  return values;
}

Json config_values_json(const ConfigValues& values) {
  Json config = Json::object();
  for (const auto& [key, value] : values.values)
    std::visit([&, &name = key](const auto& plain) { config[name] = plain; }, value);
  return {{kValuesKey, config}};
}

Error file_error(const Error& error, const std::string& where) {
  const bool corrupt = error.kind == ErrorKind::kInvalidArgument;
  return {corrupt ? ErrorKind::kCorrupt : error.kind, where + ": " + error.message};
}

Result<ClassifierConfig> parse_classifier_config(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  ClassifierConfig config;
  ITO_TRY(read_image_classifier(object, &config));
  return config;
}

Json classifier_config_json(const ClassifierConfig& config) {
  return {{"in_channels", config.in_channels},
          {"classes", config.classes},
          {"channels", config.channels},
          {"norm_groups", config.norm_groups},
          {"size", config.image_size}};
}

Result<NoisyClassifierConfig> parse_noisy_classifier_config(const Json& json,
                                                            const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  NoisyClassifierConfig config;
  for (const char* key : {"noise_features", "embedding_features"}) ITO_TRY(object.require(key));
  ITO_TRY(read_image_classifier(object, &config.image));
  ITO_TRY(object.read("noise_features", &config.noise_features));
  ITO_TRY(object.read("embedding_features", &config.embedding_features));
  return config;
}

Json noisy_classifier_config_json(const NoisyClassifierConfig& config) {
  Json json = classifier_config_json(config.image);
  json["noise_features"] = config.noise_features;
  json["embedding_features"] = config.embedding_features;
  return json;
}

Result<LatentMappingConfig> parse_latent_mapping_config(const Json& json,
                                                        const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  LatentMappingConfig config;
  for (const char* key : {"latent", "layers", "features", "classes"}) ITO_TRY(object.require(key));
  ITO_TRY(object.read("latent", &config.latent));
  ITO_TRY(object.read("layers", &config.layers));
  ITO_TRY(object.read("features", &config.features));
  ITO_TRY(object.read("classes", &config.classes));
  return config;
}

Json latent_mapping_config_json(const LatentMappingConfig& config) {
  return {{"latent", config.latent},
          {"layers", config.layers},
          {"features", config.features},
          {"classes", config.classes}};
}

}  // namespace ito
