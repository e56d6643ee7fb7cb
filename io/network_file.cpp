#include "io/network_file.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/name_list.h"
#include "io/datasets/readers.h"
#include "io/model_index.h"
#include "io/network_configs.h"
#include "io/safetensors.h"
#include "io/weights.h"

namespace ito {
namespace {

constexpr const char* kEnding = ".safetensors";
constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";
constexpr const char* kOwnWeights = "model.safetensors";
constexpr const char* kNetworkKey = "network";
constexpr const char* kFirstClass = "UNet2DModel";  // of files that name no class
constexpr std::string_view kUnet = "unet", kNoPipeline = "";

template <typename Config, Result<Config> (*kParse)(const Json&, const std::string&)>
Result<NetworkConfig> parse(const Json& json, const std::string& where) {
  ITO_ASSIGN(Config config, kParse(json, where));
  return NetworkConfig(std::move(config));
}

template <typename Config, Json (*kWrite)(const Config&)>
Json write(const NetworkConfig& config) {
  const Config* own = std::any_cast<Config>(&config);
  CHECK(own != nullptr, "a configuration of another network");
  return kWrite(*own);
}

// Keys of config.json that a configuration keeps and gives no meaning to. Those with an underscore
// are a library's bookkeeping, and null asks for nothing.
template <typename Config>
void add_unknown_keys(const NetworkConfig& config, std::vector<std::string>& keys) {
  const Config* own = std::any_cast<Config>(&config);
  if (own == nullptr) return;
  for (const auto& [key, value] : own->extra)
    if (!key.starts_with('_') && value != "null") keys.push_back(key);
}

std::vector<std::string> unknown_keys(const NetworkConfig& config) {
  std::vector<std::string> keys;
  add_unknown_keys<UNet2DConfig>(config, keys);
  add_unknown_keys<UNet2DConditionConfig>(config, keys);
  add_unknown_keys<AutoencoderKLConfig>(config, keys);
  add_unknown_keys<DiTConfig>(config, keys);
  return keys;
}

// What its weights are called, without the ending.
std::string_view stem_of(const NetworkClass& entry) {
  return entry.weights.substr(0, entry.weights.size() - std::string_view(kEnding).size());
}

constexpr NetworkClass kNetworkClasses[] = {
    {kFirstClass, "unet2d", kWeights, true, kUnet, parse<UNet2DConfig, parse_unet_config>,
     write<UNet2DConfig, unet_config_json>},
    {"UNet2DConditionModel", "unet2d_condition", kWeights, true, kUnet,
     parse<UNet2DConditionConfig, parse_unet_condition_config>,
     write<UNet2DConditionConfig, unet_condition_config_json>},
    {"AutoencoderKL", "autoencoder_kl", kWeights, true, kNoPipeline,
     parse<AutoencoderKLConfig, parse_autoencoder_config>,
     write<AutoencoderKLConfig, autoencoder_config_json>},
    {"DiTTransformer2DModel", "dit", kWeights, true, "transformer",
     parse<DiTConfig, parse_dit_config>, write<DiTConfig, dit_config_json>, "DiTPipeline"},
    // What older releases call it; written as today's.
    {"Transformer2DModel", "dit", kWeights, true, "transformer",
     parse<DiTConfig, parse_transformer2d_config>, write<DiTConfig, dit_config_json>,
     "DiTPipeline"},
    {"ItoClassifier", "classifier", kOwnWeights, false, kNoPipeline,
     parse<ClassifierConfig, parse_classifier_config>,
     write<ClassifierConfig, classifier_config_json>},
    {"ItoNoisyClassifier", "noisy_classifier", kOwnWeights, false, kNoPipeline,
     parse<NoisyClassifierConfig, parse_noisy_classifier_config>,
     write<NoisyClassifierConfig, noisy_classifier_config_json>},
    {"ItoLatentMapping", "latent_mapping", kOwnWeights, false, kNoPipeline,
     parse<LatentMappingConfig, parse_latent_mapping_config>,
     write<LatentMappingConfig, latent_mapping_config_json>},
    // Every other network.
    {"ItoNetwork", "", kOwnWeights, false, kNoPipeline, parse<ConfigValues, parse_config_values>,
     write<ConfigValues, config_values_json>},
};

// The class that the pipeline of a network's folder names for it.
std::string class_named_around(const Path& folder) {
  // The first releases had the network in the pipeline's own folder.
  for (const std::string& part : denoiser_folders())
    if (std::string named = class_in_pipeline(folder, part); !named.empty()) return named;
  std::error_code ignored;
  const Path place = std::filesystem::weakly_canonical(folder / ".", ignored);
  const Path whole = place.filename().empty() ? place.parent_path() : place;
  return class_in_pipeline(whole.parent_path(), whole.filename().string());
}

}  // namespace

Result<const NetworkClass*> network_class(std::string_view class_name, const std::string& where) {
  std::vector<std::string_view> known;
  for (const NetworkClass& entry : kNetworkClasses) {
    if (entry.class_name == class_name) return &entry;
    known.push_back(entry.class_name);
  }
  return unsupported("{}: key '_class_name': unknown value \"{}\"; known are {}", where, class_name,
                     joined(known));
}

bool is_network_of_ito(const Json& config) {
  if (!config.is_object()) return false;
  const auto name = config.find("_class_name");
  if (name == config.end() || !name->is_string()) return false;
  const auto found = network_class(name->get_ref<const std::string&>(), "config.json");
  return found.ok() && !(*found)->diffusers;
}

const NetworkClass& class_of_network(std::string_view network) {
  for (const NetworkClass& entry : kNetworkClasses)
    if (entry.network == network) return entry;
  return kNetworkClasses[std::size(kNetworkClasses) - 1];
}

std::vector<std::string> denoiser_folders() {
  std::vector<std::string> folders;
  for (const NetworkClass& entry : kNetworkClasses)
    if (!entry.folder.empty() &&
        std::find(folders.begin(), folders.end(), entry.folder) == folders.end())
      folders.emplace_back(entry.folder);
  return folders;
}

std::string denoiser_configs() {
  std::vector<std::string> files;
  for (const std::string& folder : denoiser_folders()) files.push_back(folder + "/config.json");
  return joined(files);
}

Json network_config_json(std::string_view network, const NetworkConfig& config) {
  const NetworkClass& entry = class_of_network(network);
  Json json = entry.write(config);
  json["_class_name"] = entry.class_name;
  if (entry.network.empty()) json[kNetworkKey] = network;
  return json;
}

Result<NetworkFile> network_from_json(const Json& json, const std::string& where,
                                      const std::string& named) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  NetworkFile file;
  ITO_ASSIGN(const std::string class_name,
             class_of_config(object, where, kFirstClass, {.named = named, .notes = &file.notes}));
  ITO_ASSIGN(const NetworkClass* entry, network_class(class_name, where));
  file.network = entry->network;
  if (entry->network.empty()) {
    ITO_TRY(object.require(kNetworkKey));
    ITO_TRY(object.read(kNetworkKey, &file.network));
  }
  ITO_ASSIGN(file.config, entry->parse(json, where));
  const Json own = network_config_json(file.network, file.config);
  for (const auto& [key, value] : json.items())
    if (!own.contains(key)) file.extra[key] = value;
  if (const std::vector<std::string> keys = unknown_keys(file.config); !keys.empty())
    file.notes.push_back(fmt::format(
        "{}: {} {} not known here and not looked at; programs that know {} may see another network",
        where, listed(keys), keys.size() == 1 ? "is" : "are", keys.size() == 1 ? "it" : "them"));
  return file;
}

Result<NetworkFile> read_network(const Path& folder, bool with_weights, std::string_view variant) {
  const Path path = folder / "config.json";
  ITO_ASSIGN(const Json json, read_json(path));
  ITO_ASSIGN(NetworkFile file, network_from_json(json, path.string(), class_named_around(folder)));
  if (!with_weights) return file;
  const NetworkClass& entry = class_of_network(file.network);
  if (!entry.diffusers && variant.empty() && file_exists(folder / entry.weights)) {
    ITO_ASSIGN(file.weights, read_tensors(folder / entry.weights));
    return file;
  }
  ITO_ASSIGN(const WeightsChoice choice, find_weights(folder, stem_of(entry), variant));
  if (variant.empty() && !choice.variant.empty())
    file.notes.push_back(
        fmt::format("{}: the weights are those of the variant {}, the only ones there",
                    folder.string(), choice.variant));
  ITO_ASSIGN(file.weights, read_weights(choice));
  ITO_TRY(modernize_parameters(file.weights, choice.path.string()));
  return file;
}

Result<std::vector<std::string>> weight_variants(const Path& folder) {
  ITO_ASSIGN(const NetworkFile file, read_network(folder, false));
  return find_variants(folder, stem_of(class_of_network(file.network)));
}

Status write_weights(const Path& folder, std::string_view network, TensorFile weights,
                     std::string_view variant) {
  weights.metadata["format"] = "pt";  // diffusers refuses files that do not say so
  std::string name(stem_of(class_of_network(network)));
  if (!variant.empty()) name += "." + std::string(variant);
  return write_safetensors(folder / (name + kEnding), weights);
}

Status write_network(const Path& folder, const NetworkFile& file) {
  ITO_TRY(make_folders(folder));
  ITO_TRY(write_weights(folder, file.network, file.weights));
  Json json = network_config_json(file.network, file.config);
  for (const auto& [key, value] : file.extra.items()) json[key] = value;
  return write_file_atomic(folder / "config.json", dump_json(json));
}

std::string modern_parameter_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kRenames = {
      {{".query.", ".to_q."},
       {".key.", ".to_k."},
       {".value.", ".to_v."},
       {".proj_attn.", ".to_out.0."}}};
  size_t attention = name.find("attentions.");
  if (attention == std::string_view::npos) return std::string(name);
  for (const auto& [old_part, new_part] : kRenames) {
    size_t at = name.find(old_part, attention);
    if (at == std::string_view::npos) continue;
    std::string result(name.substr(0, at));
    result += new_part;
    result += name.substr(at + old_part.size());
    return result;
  }
  return std::string(name);
}

Status modernize_parameters(TensorFile& file, std::string_view where) {
  std::map<std::string, HostTensor> renamed;
  for (auto& [name, tensor] : file.tensors) {
    std::string modern = modern_parameter_name(name);
    bool projection =
        modern.find("attentions.") != std::string::npos && modern.find(".to_") != std::string::npos;
    const Shape& shape = tensor.shape;
    if (projection && shape.rank() == 4 && shape[2] == 1 && shape[3] == 1)
      tensor.shape = Shape{shape[0], shape[1]};
    if (!renamed.emplace(modern, std::move(tensor)).second)
      return corrupt("{}: tensor {} is present under its old and its new name", where, modern);
  }
  file.tensors = std::move(renamed);
  return {};
}

}  // namespace ito
