#include "api/model.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "io/diffusers.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

constexpr const char* kClassifierClass = "ItoClassifier";
constexpr const char* kWeightsFile = "model.safetensors";

constexpr const char* kLatentFolder = "latent_mapping";
constexpr const char* kLatentClass = "ItoLatentMapping";
constexpr const char* kDiscriminator = "discriminator.";

// latent_mapping/: config.json beside model.safetensors. The names in the file lack the prefix that
// they have in a parameter set.
Status save_latent_mapping(const Path& folder, const LatentMappingConfig& config,
                           const TensorFile& weights) {
  ITO_TRY(make_folders(folder));
  ITO_TRY(write_safetensors(folder / kWeightsFile, weights));
  const Json json = {{"_class_name", kLatentClass},
                     {"latent", config.latent},
                     {"layers", config.layers},
                     {"features", config.features},
                     {"classes", config.classes}};
  return write_file_atomic(folder / "config.json", dump_json(json));
}

Result<LatentMappingConfig> read_latent_config(const Path& path) {
  ITO_ASSIGN(const Json json, read_json(path));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, path.string()));
  LatentMappingConfig config;
  for (const char* key : {"_class_name", "latent", "layers", "features", "classes"})
    ITO_TRY(object.require(key));
  std::string class_name;
  ITO_TRY(object.read("_class_name", &class_name));
  if (class_name != kLatentClass) return object.wrong("_class_name", kLatentClass);
  ITO_TRY(object.read("latent", &config.latent));
  ITO_TRY(object.read("layers", &config.layers));
  ITO_TRY(object.read("features", &config.features));
  ITO_TRY(object.read("classes", &config.classes));
  const Status valid = check_latent_mapping(config);
  if (!valid.ok()) return Error{ErrorKind::kCorrupt, path.string() + ": " + valid.error().message};
  return config;
}

// Moves the tensors whose names begin with `prefix` into a file of their own, without it.
TensorFile take_prefixed(TensorFile& file, const std::string& prefix) {
  TensorFile taken;
  taken.metadata = file.metadata;
  for (auto at = file.tensors.lower_bound(prefix); at != file.tensors.end();) {
    if (at->first.rfind(prefix, 0) != 0) break;
    taken.tensors.emplace(at->first.substr(prefix.size()), std::move(at->second));
    at = file.tensors.erase(at);
  }
  return taken;
}

bool is_float(HostType type) {
  return type == HostType::kF16 || type == HostType::kBF16 || type == HostType::kF32 ||
         type == HostType::kF64;
}

}  // namespace

Result<std::vector<float>> weights_from_file(const ParameterSet& set, const TensorFile& file,
                                             std::string_view where) {
  ForeignTensors tensors;
  for (const auto& [name, tensor] : file.tensors) {
    if (!is_float(tensor.type))
      return corrupt("{}: tensor {} is {}, expected a floating type", where, name,
                     host_type_name(tensor.type));
    tensors.emplace(name, ForeignTensor{tensor.shape, to_floats(tensor)});
  }
  auto packed = pack_parameters(set, tensors);
  if (!packed.ok())
    return Error{ErrorKind::kCorrupt, std::string(where) + ": " + packed.error().message};
  return packed;
}

TensorFile weights_to_file(const ParameterSet& set, std::span<const float> weights) {
  TensorFile file;
  file.metadata["format"] = "pt";  // what PyTorch's readers look for: names and layouts are its own
  for (auto& [name, tensor] : unpack_parameters(set, weights))
    file.tensors.emplace(name, tensor_from_floats(tensor.shape, tensor.data));
  return file;
}

Result<Model> load_model(const Path& folder) {
  if (!folder_exists(folder)) return not_found("there is no model folder {}", folder.string());
  ITO_ASSIGN(DiffusersModel file, read_diffusers(folder));
  Model model;
  model.unet = std::move(file.unet);
  if (file.scheduler) model.scheduler = std::move(*file.scheduler);
  const Path latent = folder / kLatentFolder;
  if (file_exists(latent / "config.json")) {
    ITO_ASSIGN(model.latent, read_latent_config(latent / "config.json"));
    ITO_ASSIGN(TensorFile mapping, read_safetensors(latent / kWeightsFile));
    for (auto& [name, tensor] : mapping.tensors)
      file.weights.tensors.emplace(std::string(kLatentFolder) + "." + name, std::move(tensor));
  }
  auto set = model.latent ? latent_unet_parameters(model.unet, *model.latent)
                          : unet2d_parameters(model.unet);
  if (!set.ok()) return Error{set.error().kind, folder.string() + ": " + set.error().message};
  model.set = std::move(set).value();
  ITO_ASSIGN(model.weights, weights_from_file(model.set, file.weights, folder.string()));
  return model;
}

Status save_model(const Path& folder, const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                  const ParameterSet& set, std::span<const float> weights,
                  const std::optional<LatentMappingConfig>& latent) {
  DiffusersModel file;
  file.unet = unet;
  file.scheduler = scheduler;
  file.weights = weights_to_file(set, weights);
  take_prefixed(file.weights, kDiscriminator);
  if (latent) {
    const TensorFile mapping = take_prefixed(file.weights, std::string(kLatentFolder) + ".");
    ITO_TRY(save_latent_mapping(folder / kLatentFolder, *latent, mapping));
  }
  return write_diffusers(folder, file);
}

Status read_classifier_config(JsonObject& object, ClassifierConfig* config) {
  for (const char* key : {"in_channels", "classes", "norm_groups", "channels", "size"})
    ITO_TRY(object.require(key));
  std::vector<int> channels;
  int size = 0;
  ITO_TRY(object.read("in_channels", &config->in_channels));
  ITO_TRY(object.read("classes", &config->classes));
  ITO_TRY(object.read("norm_groups", &config->norm_groups));
  ITO_TRY(object.read("channels", &channels));
  ITO_TRY(object.read("size", &size));
  config->image_size = size;
  config->channels.assign(channels.begin(), channels.end());
  return {};
}

Result<ClassifierModel> load_classifier(const Path& folder) {
  const Path config_path = folder / "config.json";
  ITO_ASSIGN(const Json json, read_json(config_path));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, config_path.string()));
  std::string class_name;
  ITO_TRY(object.require("_class_name"));
  ITO_TRY(object.read("_class_name", &class_name));
  if (class_name != kClassifierClass) return object.wrong("_class_name", kClassifierClass);
  ClassifierModel model;
  ITO_TRY(read_classifier_config(object, &model.config));
  model.size = static_cast<int>(model.config.image_size);
  auto set = classifier_parameters(model.config);
  if (!set.ok())
    return Error{ErrorKind::kCorrupt, config_path.string() + ": " + set.error().message};
  model.set = std::move(set).value();
  ITO_ASSIGN(const TensorFile file, read_safetensors(folder / kWeightsFile));
  ITO_ASSIGN(model.weights, weights_from_file(model.set, file, (folder / kWeightsFile).string()));
  return model;
}

Status save_classifier(const Path& folder, const ClassifierConfig& config, int size,
                       const ParameterSet& set, std::span<const float> weights) {
  ITO_TRY(make_folders(folder));
  ITO_TRY(write_safetensors(folder / kWeightsFile, weights_to_file(set, weights)));
  const Json json = {{"_class_name", kClassifierClass},   {"in_channels", config.in_channels},
                     {"classes", config.classes},         {"channels", config.channels},
                     {"norm_groups", config.norm_groups}, {"size", size}};
  return write_file_atomic(folder / "config.json", dump_json(json));
}

Denoiser unet_denoiser(const UNet2DConfig& unet, const ParameterSet& set, Tensor flat,
                       Tensor class_labels) {
  return [&set, unet, flat, class_labels](Tensor x, Tensor t) {
    return unet2d(Scope(set, flat), unet, x, t, class_labels);
  };
}

}  // namespace ito
