#include "io/diffusers.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/name_list.h"
#include "io/model_index.h"

namespace ito {
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kVae = "vae";
constexpr const char* kScheduler = "scheduler";
constexpr const char* kSchedulerConfig = "scheduler_config.json";

// Parts of pipelines that stand between nothing and the picture: what they say comes from a file
// (--context) or is said after the picture is made.
constexpr std::string_view kHarmlessParts[] = {
    "safety_checker", "feature_extractor", "text_encoder", "tokenizer",
    "image_encoder",  "image_processor",   "mel",          "watermark"};

bool is_denoiser_folder(const std::string& name) {
  const std::vector<std::string> folders = denoiser_folders();
  return std::find(folders.begin(), folders.end(), name) != folders.end();
}

struct Part {
  std::string name, class_name;
  bool there = false;  // its folder
};

std::string text_of_part(const Part& part) {
  const std::string name =
      part.class_name.empty() ? part.name : fmt::format("{} ({})", part.name, part.class_name);
  return part.there ? name : name + ", whose folder is missing";
}

// What model_index.json names, and folders with a network that it does not.
std::vector<Part> parts_of(const Path& folder, const Json& index) {
  std::vector<Part> parts;
  for (const auto& [key, value] : index.items()) {
    if (!value.is_array() || value.size() != 2 || !value[1].is_string()) continue;
    parts.push_back({key, value[1].get<std::string>(), folder_exists(folder / key)});
  }
  const auto names = list_folder(folder);
  if (!names.ok()) return parts;
  for (const std::string& name : *names) {
    if (index.contains(name) || name.starts_with("checkpoint-") ||
        !file_exists(folder / name / kConfig))
      continue;
    const auto config = read_json(folder / name / kConfig);
    if (!config.ok() || !config->is_object()) continue;
    const auto found = config->find("_class_name");
    if (found == config->end() || !found->is_string()) continue;
    // Another of the networks that are known here (weights averaged elsewhere) is no part of this.
    const std::string class_name = found->get<std::string>();
    if (!network_class(class_name, name).ok()) parts.push_back({name, class_name, true});
  }
  return parts;
}

// model_index.json, or an empty object. Where it names a denoiser, one that is there and can be
// run.
Result<Json> read_model_index(const Path& folder) {
  const Path path = folder / kModelIndex;
  if (!file_exists(path)) return Json::object();
  ITO_ASSIGN(Json json, read_json(path));
  ITO_ASSIGN(JsonObject index, JsonObject::open(json, path.string()));
  bool named = false;
  for (const std::string& name : denoiser_folders()) {
    const Json* denoiser = index.find(name.c_str());
    if (denoiser == nullptr) continue;
    named = true;
    std::vector<std::string> parts;
    ITO_TRY(index.read(name.c_str(), &parts));
    if (parts.size() != 2 || !network_class(parts[1], path.string()).ok())
      return unsupported(
          "{}: key '{}': expected [\"diffusers\", \"UNet2DModel\"] or another known network, found "
          "{}",
          path.string(), name, describe_json(*denoiser));
    // The first releases had the network in the pipeline's own folder.
    if (!file_exists(folder / name / kConfig) && !file_exists(folder / kConfig))
      return not_found("{} names {} ({}), but {} is missing", path.string(), name, parts[1],
                       (folder / name / kConfig).string());
  }
  if (named) return json;
  for (const char* other : {"prior", "decoder"})
    if (const Json* part = index.find(other); part != nullptr && part->is_array())
      return unsupported("{}: the pipeline's network is {} {}; a network in {}/ is what can be run",
                         path.string(), other, describe_json(*part),
                         joined(denoiser_folders(), "/ or "));
  return json;
}

// Sorts what the pipeline has besides the denoiser into what is read, what may be left out, and
// what may not.
void look_at_parts(const Path& folder, DiffusersModel& model) {
  std::string harmless, needed;
  const auto add = [](std::string& list, const std::string& text) {
    list += (list.empty() ? "" : ", ") + text;
  };
  for (const Part& part : parts_of(folder, model.index)) {
    if (is_denoiser_folder(part.name) || part.name == kScheduler) continue;
    if (part.name == kVae && file_exists(folder / kVae / kConfig)) continue;
    const bool may = std::find(std::begin(kHarmlessParts), std::end(kHarmlessParts), part.name) !=
                     std::end(kHarmlessParts);
    add(may ? harmless : needed, may ? part.name : text_of_part(part));
  }
  if (!harmless.empty())
    model.notes.push_back(fmt::format("{}: not read: {}", folder.string(), harmless));
  if (!needed.empty())
    model.unread = fmt::format(
        "{}: the pipeline has a part that cannot be used here and without which its network makes "
        "no pictures: {}",
        folder.string(), needed);
}

// A denoiser's own folder in a pipeline whose pictures another part makes.
void look_at_pipeline_around(const Path& folder, DiffusersModel& model) {
  std::error_code ignored;
  const Path place = std::filesystem::weakly_canonical(folder, ignored);
  const Path pipeline = place.parent_path();
  if (!is_denoiser_folder(place.filename().string()) || !file_exists(pipeline / kModelIndex))
    return;
  const auto index = read_json(pipeline / kModelIndex);
  if (!index.ok() || !index->is_object()) return;
  DiffusersModel around;
  around.index = *index;
  look_at_parts(pipeline, around);
  model.unread = around.unread;
  if (model.unread.empty() && file_exists(pipeline / kVae / kConfig) && index->contains(kVae) &&
      (*index)[kVae].is_array() && !(*index)[kVae].empty() && !(*index)[kVae][0].is_null())
    model.unread = fmt::format(
        "{} makes latents, of which the pipeline's vae makes pictures; give the pipeline's folder, "
        "{}",
        folder.string(), pipeline.string());
}

// diffusers goes by model_index.json, scheduler_config.json says what its keys are.
void compare_scheduler(const Path& folder, DiffusersModel& model) {
  const std::string name = class_in_index(model.index, kScheduler);
  if (!model.scheduler || name.empty()) return;
  const std::string is = scheduler_class_name(*model.scheduler);
  if (name != is)
    model.notes.push_back(
        fmt::format("{}: {} names the scheduler {}, its own file {}, which is taken",
                    folder.string(), kModelIndex, name, is));
}

}  // namespace

std::optional<std::string> model_file_in(const Path& folder) {
  std::vector<std::string> files = {kModelIndex,
                                    fmt::format("{}/{}", kScheduler, kSchedulerConfig)};
  for (const std::string& name : denoiser_folders())
    files.push_back(fmt::format("{}/{}", name, kConfig));
  for (std::string& file : files)
    if (file_exists(folder / file)) return std::move(file);
  const auto config = read_json(folder / kConfig);
  const bool of_network = config.ok() && config->is_object() && config->contains("_class_name");
  return of_network ? std::optional<std::string>(kConfig) : std::nullopt;
}

Result<Path> denoiser_folder(const Path& folder) {
  if (!folder_exists(folder)) return not_found("no model folder {}", folder.string());
  for (const std::string& name : denoiser_folders())
    if (file_exists(folder / name / "config.json")) return folder / name;
  if (file_exists(folder / "config.json")) return folder;
  return not_found(
      "{}: neither {} nor config.json is there; expected a diffusers pipeline or model folder",
      folder.string(), denoiser_configs());
}

Result<std::optional<SchedulerConfig>> read_scheduler_config(const Path& folder,
                                                             std::vector<std::string>* notes) {
  std::vector<std::pair<Path, Path>> places = {{folder, folder / kScheduler / kSchedulerConfig},
                                               {folder, folder / kSchedulerConfig}};
  // A component's own folder has it beside itself.
  const Path around = folder / "..";
  if (file_exists(folder / kConfig))
    places.emplace_back(around, around / kScheduler / kSchedulerConfig);
  for (const auto& [pipeline, path] : places) {
    if (!file_exists(path)) continue;
    const MissingClass missing{.named = class_in_pipeline(pipeline, kScheduler), .notes = notes};
    ITO_ASSIGN(SchedulerConfig config, read_scheduler_file(path, missing));
    return std::optional<SchedulerConfig>(std::move(config));
  }
  return std::optional<SchedulerConfig>();
}

Result<DiffusersModel> read_diffusers(const Path& folder, std::string_view variant) {
  DiffusersModel model;
  ITO_ASSIGN(model.index, read_model_index(folder));
  ITO_ASSIGN(const Path denoiser, denoiser_folder(folder));
  ITO_ASSIGN(model.scheduler, read_scheduler_config(folder, &model.notes));
  ITO_ASSIGN(model.denoiser, read_network(denoiser, true, variant));
  if (file_exists(folder / kVae / kConfig)) {
    ITO_ASSIGN(model.vae, read_network(folder / kVae, true, variant));
  }
  if (model.scheduler) {
    const std::string keys = joined(unknown_scheduler_keys(*model.scheduler));
    if (!keys.empty())
      model.notes.push_back(
          fmt::format("{}: keys of the scheduler that are not known here and not looked at: {}",
                      folder.string(), keys));
  }
  if (denoiser == folder && model.index.empty()) {
    look_at_pipeline_around(folder, model);
  } else {
    look_at_parts(folder, model);
    compare_scheduler(folder, model);
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
