#include "io/diffusers.h"

#include <utility>

#include "base/error.h"

namespace ito {
namespace {

// Parts of pipelines without which their images would be others, and which no model here has.
constexpr const char* kPartsNotRead[] = {
    "vqvae",    "movq",       "controlnet", "prior", "low_res_scheduler",
    "vq_model", "image_unet", "unet_2"};

// Error kUnsupported or kNotFound: a part that the index names cannot be used or is not there.
Status check_parts(const Path& folder, const Json& index, const std::string& where) {
  const auto is_there = [&](const char* name) {
    const auto part = index.find(name);
    return part != index.end() && part->is_array() && part->size() == 2 && !(*part)[1].is_null();
  };
  for (const char* name : kPartsNotRead)
    if (is_there(name))
      return unsupported("{}: the pipeline has the part '{}', {}, which is not read", where, name,
                         describe_json(index[name]));
  if (is_there("vae") && !file_exists(folder / "vae" / "config.json"))
    return not_found("{}: names an autoencoder, but vae/config.json is missing", where);
  return {};
}

// model_index.json, or an empty object. Where present it must name a denoiser that we can run.
Result<Json> read_model_index(const Path& folder) {
  Path path = folder / "model_index.json";
  if (!file_exists(path)) return Json::object();
  ITO_ASSIGN(Json json, read_json(path));
  ITO_ASSIGN(JsonObject index, JsonObject::open(json, path.string()));
  ITO_TRY(check_parts(folder, json, path.string()));
  for (const std::string& folder : denoiser_folders()) {
    const Json* denoiser = index.find(folder.c_str());
    if (denoiser == nullptr) continue;
    std::vector<std::string> parts;
    ITO_TRY(index.read(folder.c_str(), &parts));
    if (parts.size() == 2 && network_class(parts[1], path.string()).ok()) continue;
    return unsupported(
        "{}: key '{}': expected [\"diffusers\", \"UNet2DModel\"] or another known network, found "
        "{}",
        path.string(), folder, describe_json(*denoiser));
  }
  return json;
}

void note_unused(const std::vector<std::string>& keys, const char* whose,
                 std::vector<std::string>& notes) {
  std::string listed;
  for (const std::string& key : keys) listed += (listed.empty() ? "" : ", ") + key;
  if (!keys.empty())
    notes.push_back(fmt::format("{} configuration has {} that {} not known and changes nothing: {}",
                                whose, keys.size() == 1 ? "a key" : "keys",
                                keys.size() == 1 ? "is" : "are", listed));
}

}  // namespace

Result<Path> denoiser_folder(const Path& folder) {
  if (!folder_exists(folder)) return not_found("no model folder {}", folder.string());
  for (const std::string& name : denoiser_folders())
    if (file_exists(folder / name / "config.json")) return folder / name;
  if (file_exists(folder / "config.json")) return folder;
  return not_found(
      "{}: neither {} nor config.json is there; expected a diffusers pipeline or model folder{}",
      folder.string(), denoiser_configs(),
      folder_exists(folder / "snapshots") ? "; of a hub's cache that is the one in snapshots/"
                                          : "");
}

Result<std::optional<SchedulerConfig>> read_scheduler_config(const Path& folder) {
  // A component's own folder has it beside itself.
  for (const Path& path :
       {folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json",
        folder / ".." / "scheduler" / "scheduler_config.json"}) {
    if (path == folder / ".." / "scheduler" / "scheduler_config.json" &&
        !file_exists(folder / "config.json"))
      break;
    if (!file_exists(path)) continue;
    ITO_ASSIGN(SchedulerConfig config, read_scheduler_file(path));
    return std::optional<SchedulerConfig>(std::move(config));
  }
  return std::optional<SchedulerConfig>();
}

Result<DiffusersModel> read_diffusers(const Path& folder, std::string_view variant) {
  DiffusersModel model;
  ITO_ASSIGN(model.index, read_model_index(folder));
  ITO_ASSIGN(const Path denoiser, denoiser_folder(folder));
  ITO_ASSIGN(model.scheduler, read_scheduler_config(folder));
  if (model.scheduler) note_unused(unused_keys(*model.scheduler), "the scheduler's", model.notes);
  ITO_ASSIGN(model.denoiser, read_network(denoiser, true, variant));
  note_unused(unused_keys(model.denoiser), "the network's", model.notes);
  if (file_exists(folder / "vae" / "config.json")) {
    ITO_ASSIGN(model.vae, read_network(folder / "vae", true, variant));
  }
  return model;
}

namespace {

// Of a U-Net with a context and an autoencoder.
constexpr const char* kLatentPipeline = "StableDiffusionPipeline";

}  // namespace

Status write_diffusers(const Path& folder, const DiffusersModel& model) {
  const NetworkClass& entry = class_of_network(model.denoiser.network);
  ITO_TRY(write_network(folder / entry.folder, model.denoiser));
  if (!model.scheduler) return {};
  const SchedulerConfig& scheduler = *model.scheduler;
  ITO_TRY(make_folders(folder / "scheduler"));
  ITO_TRY(write_file_atomic(folder / "scheduler" / "scheduler_config.json",
                            dump_json(scheduler_config_json(scheduler))));
  if (model.vae) ITO_TRY(write_network(folder / "vae", *model.vae));
  Json index = model.index;
  for (auto& [key, value] : index.items())
    if (value.is_array() && value.size() == 2) value = {nullptr, nullptr};
  const bool on_latents = model.vae.has_value();
  if (!index.contains("_class_name"))
    index["_class_name"] = !entry.pipeline.empty() ? std::string(entry.pipeline)
                           : on_latents            ? kLatentPipeline
                                                   : scheduler_pipeline_name(scheduler);
  index["_diffusers_version"] = "0.40.0";
  index["scheduler"] = {"diffusers", scheduler_class_name(scheduler)};
  index[std::string(entry.folder)] = {"diffusers", entry.class_name};
  if (on_latents) index["vae"] = {"diffusers", class_of_network(model.vae->network).class_name};
  return write_file_atomic(folder / "model_index.json", dump_json(index));
}

}  // namespace ito
