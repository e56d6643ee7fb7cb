// The JSON forms of the networks' configurations: for the table in io/network_file.cpp only, which
// says which class they belong to. Errors of the readers: kCorrupt for a value of the wrong type,
// out of range, or lists of unequal length; kUnsupported for an unknown block type, activation or
// embedding type; each names `where` and the key.
#pragma once

#include "base/config_values.h"
#include "base/dit_config.h"
#include "base/latent_config.h"
#include "base/network_config.h"
#include "io/diffusers.h"
#include "io/json.h"

namespace ito {

Result<UNet2DConditionConfig> parse_unet_condition_config(const Json& json,
                                                          const std::string& where);
Json unet_condition_config_json(const UNet2DConditionConfig& config);

Result<AutoencoderKLConfig> parse_autoencoder_config(const Json& json, const std::string& where);
Json autoencoder_config_json(const AutoencoderKLConfig& config);

Result<DiTConfig> parse_dit_config(const Json& json, const std::string& where);
// Of the class Transformer2DModel, which is several transformers: by norm_type "ada_norm_zero"
// this.
Result<DiTConfig> parse_transformer2d_config(const Json& json, const std::string& where);
Json dit_config_json(const DiTConfig& config);

Result<ClassifierConfig> parse_classifier_config(const Json& json, const std::string& where);
Json classifier_config_json(const ClassifierConfig& config);

Result<NoisyClassifierConfig> parse_noisy_classifier_config(const Json& json,
                                                            const std::string& where);
Json noisy_classifier_config_json(const NoisyClassifierConfig& config);

Result<LatentMappingConfig> parse_latent_mapping_config(const Json& json, const std::string& where);
Json latent_mapping_config_json(const LatentMappingConfig& config);

// Of a network without a class of its own: the object "config" of plain values.
Result<ConfigValues> parse_config_values(const Json& json, const std::string& where);
Json config_values_json(const ConfigValues& values);

// The error of a configuration that a check of base/ refused, as one of the file `where`.
Error file_error(const Error& error, const std::string& where);

}  // namespace ito
