#include "io/diffusers.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";
constexpr const char* kHalfWeights = "diffusion_pytorch_model.fp16.safetensors";
constexpr const char* kShardIndex = "diffusion_pytorch_model.safetensors.index.json";
constexpr const char* kPickled = "diffusion_pytorch_model.bin";

// The folder of config.json and weights: folder/unet of a pipeline, or folder itself.
Result<Path> unet_folder(const Path& folder) {
  if (!folder_exists(folder)) return not_found("no model folder {}", folder.string());
  if (file_exists(folder / "unet" / "config.json")) return folder / "unet";
  if (file_exists(folder / "config.json")) return folder;
  return not_found(
      "{}: neither unet/config.json nor config.json is there; expected a diffusers "
      "pipeline or model folder",
      folder.string());
}

// model_index.json, where present, must name a U-Net that we can run.
Status check_model_index(const Path& folder) {
  Path path = folder / "model_index.json";
  if (!file_exists(path)) return {};
  ITO_ASSIGN(Json json, read_json(path));
  ITO_ASSIGN(JsonObject index, JsonObject::open(json, path.string()));
  const Json* unet = index.find("unet");
  if (unet == nullptr) return {};
  std::vector<std::string> parts;
  ITO_TRY(index.read("unet", &parts));
  if (parts.size() == 2 && parts[1] == "UNet2DModel") return {};
  return unsupported("{}: key 'unet': expected [\"diffusers\", \"UNet2DModel\"], found {}",
                     path.string(), describe_json(*unet));
}

}  // namespace

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

Result<UNet2DConfig> read_unet_config(const Path& folder) {
  ITO_ASSIGN(Path unet, unet_folder(folder));
  Path path = unet / "config.json";
  ITO_ASSIGN(Json json, read_json(path));
  return parse_unet_config(json, path.string());
}

Result<TensorFile> read_unet_weights(const Path& folder) {
  ITO_ASSIGN(Path unet, unet_folder(folder));
  Path path = unet / kWeights;
  if (!file_exists(path) && file_exists(unet / kHalfWeights)) path = unet / kHalfWeights;
  if (!file_exists(path)) {
    if (file_exists(unet / kShardIndex))
      return unsupported("{}: weights in several files are not supported; expected {}",
                         unet.string(), kWeights);
    if (file_exists(unet / kPickled))
      return unsupported(
          "{}: pickled weights ({}) can run code and are not read; save the model "
          "with safe_serialization=True to get {}",
          unet.string(), kPickled, kWeights);
    return not_found("{}: {} is missing", unet.string(), kWeights);
  }
  ITO_ASSIGN(TensorFile weights, read_safetensors(path));
  ITO_TRY(modernize_parameters(weights, path.string()));
  return weights;
}

Result<std::optional<SchedulerConfig>> read_scheduler_config(const Path& folder) {
  for (const Path& path :
       {folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"}) {
    if (!file_exists(path)) continue;
    ITO_ASSIGN(SchedulerConfig config, read_scheduler_file(path));
    return std::optional<SchedulerConfig>(std::move(config));
  }
  return std::optional<SchedulerConfig>();
}

Result<DiffusersModel> read_diffusers(const Path& folder) {
  ITO_TRY(check_model_index(folder));
  DiffusersModel model;
  ITO_ASSIGN(model.unet, read_unet_config(folder));
  ITO_ASSIGN(model.scheduler, read_scheduler_config(folder));
  ITO_ASSIGN(model.weights, read_unet_weights(folder));
  return model;
}

Status write_unet(const Path& folder, const UNet2DConfig& config, const TensorFile& weights) {
  ITO_TRY(make_folders(folder));
  TensorFile file = weights;
  file.metadata["format"] = "pt";  // diffusers refuses files that do not say so
  ITO_TRY(write_safetensors(folder / kWeights, file));
  return write_file_atomic(folder / "config.json", dump_json(unet_config_json(config)));
}

Status write_diffusers(const Path& folder, const DiffusersModel& model) {
  ITO_TRY(write_unet(folder / "unet", model.unet, model.weights));
  if (!model.scheduler) return {};
  const SchedulerConfig& scheduler = *model.scheduler;
  ITO_TRY(make_folders(folder / "scheduler"));
  ITO_TRY(write_file_atomic(folder / "scheduler" / "scheduler_config.json",
                            dump_json(scheduler_config_json(scheduler))));
  Json index = {{"_class_name", scheduler_pipeline_name(scheduler)},
                {"_diffusers_version", "0.40.0"},
                {"scheduler", {"diffusers", scheduler_class_name(scheduler)}},
                {"unet", {"diffusers", "UNet2DModel"}}};
  return write_file_atomic(folder / "model_index.json", dump_json(index));
}

}  // namespace ito
