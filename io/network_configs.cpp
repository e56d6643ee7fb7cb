// The JSON forms of Ito's own networks. Every key has to be there.
#include "io/network_configs.h"

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

}  // namespace

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
