#include "api/model.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "api/composition.h"
#include "api/inpainting.h"
#include "api/weight_names.h"
#include "base/check.h"
#include "base/error.h"
#include "base/name_list.h"
#include "io/class_names.h"
#include "io/diffusers.h"
#include "io/file_kind.h"
#include "io/network_file.h"
#include "io/weights.h"
#include "nn/classifier.h"
#include "nn/networks.h"

namespace ito {
namespace {

constexpr const char* kVaeFolder = "vae";
constexpr const char* kNoiseSchedule = "noise_schedule";
constexpr const char* kAverageKey = "ema";            // in the header of a file of weights
constexpr std::string_view kAverageVariant = "ema-";  // and how its variant is called

// Ito's own networks that are told the time keep the schedule they were trained for in config.json.
bool keeps_schedule(const Network& network, const NetworkClass& entry) {
  return !entry.diffusers && network.signature().told_time();
}

Result<SchedulerConfig> kept_schedule(const NetworkFile& file, const std::string& where,
                                      std::vector<std::string>& notes) {
  if (!file.extra.contains(kNoiseSchedule))
    return corrupt("{}: key '{}' is missing", where, kNoiseSchedule);
  return parse_scheduler_config(file.extra[kNoiseSchedule], where + ": " + kNoiseSchedule,
                                {.named = {}, .notes = &notes});
}

// The network of a file with its weights.
Result<Component> component_of(const NetworkFile& file, const std::string& where,
                               std::vector<std::string>& notes) {
  auto network = make_network(file.network, file.config);
  if (!network.ok()) {
    const Error& error = network.error();
    const bool corrupt = error.kind == ErrorKind::kInvalidArgument;
    return Error{corrupt ? ErrorKind::kCorrupt : error.kind, where + ": " + error.message};
  }
  Component component{.network = std::move(network).value(), .weights = {}, .extra = file.extra};
  ITO_ASSIGN(component.weights,
             weights_from_file(component.network.set(), file.weights, where, &notes));
  if (const auto found = file.weights.metadata.find(kAverageKey);
      found != file.weights.metadata.end())
    component.average = found->second;
  return component;
}

WeightReader reader_of(std::span<const float> weights) {
  return [weights](int64_t first, std::span<float> numbers) -> Status {
    std::ranges::copy(weights.subspan(static_cast<size_t>(first), numbers.size()), numbers.begin());
    return {};
  };
}

// The network and what `weights` reads must live until the file is written.
NetworkFile file_of(const Network& network, const Json& extra, const WeightReader& weights,
                    const std::string& average) {
  NetworkFile file{.network = std::string(network.row()),
                   .config = network.config(),
                   .extra = extra,
                   .weights = weights_to_file(network.set(), network.own_parameters(), weights)};
  if (!average.empty()) file.weights.metadata[kAverageKey] = average;
  return file;
}

// The weights of a component, all of them.
WeightReader weights_of(const Component& component) {
  CHECK(static_cast<int64_t>(component.weights.size()) == component.network.set().size(),
        "weights of another network");
  return reader_of(component.weights);
}

}  // namespace

Result<std::vector<float>> weights_from_file(const ParameterSet& set, const TensorFile& file,
                                             std::string_view where,
                                             std::vector<std::string>* notes) {
  const Result<WeightNames> found_names = find_weight_names(set, file, where);
  if (!found_names.ok()) {
    // What is missing may be there as something that is not read.
    for (const Parameter& parameter : set.parameters())
      for (const auto& [full, type] : file.unread)
        if (full == parameter.name || full.ends_with("." + parameter.name))
          return unsupported(
              "{}: tensor {} is of type {}, expected a floating type of 16 to 64 bits", where, full,
              type);
    return found_names.error();
  }
  const WeightNames& names = *found_names;
  if (notes != nullptr && !file.unread.empty())
    notes->push_back(fmt::format("{}: {}", where, unread_note(file.unread)));
  if (notes != nullptr) {
    if (!names.prefix.empty())
      notes->push_back(
          fmt::format("{}: the weights are those below the prefix \"{}\"", where, names.prefix));
    if (!names.unused.empty())
      notes->push_back(fmt::format("{}: {}", where, unused_note(names.unused)));
  }
  std::map<std::string_view, const HostTensor*> found;
  for (const auto& [full, tensor] : file.tensors) {
    std::string_view name = full;
    if (name.starts_with(names.prefix)) name.remove_prefix(names.prefix.size());
    const bool used = full.starts_with(names.prefix) && set.find(name) != nullptr;
    if (!used && notes != nullptr) continue;
    if (!is_floating(tensor.type))
      return corrupt("{}: tensor {} is {}, expected a floating type", where, name,
                     host_type_name(tensor.type));
    if (!used)
      return corrupt("{}: tensor {} (shape {}) is not part of the network, which has {} tensors",
                     where, name, tensor.shape.to_string(), set.parameters().size());
    found.emplace(name, &tensor);
  }
  // From the file's pages into place, in one go.
  std::vector<float> flat(static_cast<size_t>(set.size()), 0.0f);
  for (const Parameter& parameter : set.parameters()) {
    const auto it = found.find(parameter.name);
    const HostTensor* tensor = it == found.end() ? nullptr : it->second;
    const Status fits = check_foreign_shape(parameter, tensor ? &tensor->shape : nullptr);
    if (!fits.ok())
      return Error{ErrorKind::kCorrupt, std::string(where) + ": " + fits.error().message};
    float* const place = flat.data() + parameter.offset;
    with_elements(*tensor, [&](auto element) {
      for_each_element(parameter.spec, [&](int64_t internal, int64_t foreign) {
        place[internal] = static_cast<float>(element(static_cast<size_t>(foreign)));
      });
    });
  }
  return flat;
}

TensorFile weights_to_file(const ParameterSet& set, const ParameterSet& own, WeightReader weights) {
  TensorFile file;
  file.metadata["format"] = "pt";  // what PyTorch's readers look for: names and layouts are its own
  for (const Parameter& parameter : set.parameters()) {
    if (own.find(parameter.name) == nullptr) continue;
    const auto count = static_cast<size_t>(parameter.numel());
    const auto bytes = [&parameter, count, weights](const ByteSink& sink) -> Status {
      std::vector<float> numbers(count);
      ITO_TRY(weights(parameter.offset, numbers));
      numbers = to_foreign(parameter.spec, numbers);
      return sink({reinterpret_cast<const char*>(numbers.data()), count * sizeof(float)});
    };
    file.tensors[parameter.name] = {HostType::kF32, parameter.spec.foreign_shape,
                                    TensorBytes::made(count * sizeof(float), bytes)};
  }
  return file;
}

Result<Model> load_model(const Path& folder, std::string_view variant) {
  ITO_TRY(check_reachable(folder));
  if (file_exists(folder) && !folder_exists(folder)) {
    ITO_ASSIGN(const FileKind kind, kind_of_file(folder));
    return invalid_argument("{} is a file, expected a model folder{}", folder.string(),
                            kind_remark(kind));
  }
  if (!folder_exists(folder))
    return not_found("there is no model folder {}; a model of a hub has to be downloaded first",
                     folder.string());
  ITO_ASSIGN(DiffusersModel file, read_diffusers(folder, variant));
  Model model;
  model.scheduler_missing = !file.scheduler;
  if (file.scheduler) model.scheduler = std::move(*file.scheduler);
  model.unread = std::move(file.unread);
  model.notes = std::move(file.notes);
  if (!model.unread.empty()) model.notes.push_back(model.unread);
  for (const NetworkFile* part : {&file.denoiser, file.vae ? &*file.vae : nullptr})
    if (part != nullptr)
      model.notes.insert(model.notes.end(), part->notes.begin(), part->notes.end());
  const std::string where = folder.string();
  for (const NetworkRow* row : composed_rows()) {
    const Path beside = folder / row->parts->folder;
    if (!file_exists(beside / "config.json")) continue;
    ITO_ASSIGN(NetworkFile part, read_network(beside, true, variant));
    ITO_ASSIGN(file.denoiser, join_parts(*row, std::move(file.denoiser), std::move(part), where));
  }
  ITO_ASSIGN(static_cast<Component&>(model), component_of(file.denoiser, where, model.notes));
  model.index = std::move(file.index);
  if (file.vae) {
    ITO_ASSIGN(model.decoder, component_of(*file.vae, (folder / kVaeFolder).string(), model.notes));
    if (model.decoder->network.autoencoder() == nullptr)
      return unsupported("{}: expected an autoencoder, found a network {}",
                         (folder / kVaeFolder).string(), model.decoder->network.row());
    const int64_t latents = model.decoder->network.autoencoder()->latent_channels;
    const int64_t channels = sample_channels(model.network.signature());
    if (latents != channels)
      return corrupt("{}: the autoencoder has {} latent channels, the network {}", where, latents,
                     channels);
  }
  if (parts_of(file.denoiser.network) == nullptr &&
      keeps_schedule(model.network, class_of_network(file.denoiser.network))) {
    ITO_ASSIGN(model.scheduler,
               kept_schedule(file.denoiser, (folder / "config.json").string(), model.notes));
    model.scheduler_missing = false;
  }
  return model;
}

Result<Model> load_whole_model(const Path& folder, std::string_view variant) {
  ITO_ASSIGN(Model model, load_model(folder, variant));
  if (!model.unread.empty()) return unsupported("{}", model.unread);
  return model;
}

bool is_average(std::string_view variant) { return variant.starts_with(kAverageVariant); }

Result<std::string> variant_of_average(const Path& folder, const std::string& decay) {
  ITO_ASSIGN(const Model model, load_model(folder));
  if (model.average == decay) return std::string();
  ITO_ASSIGN(const Path weights, denoiser_folder(folder));
  ITO_ASSIGN(const std::vector<std::string> variants, weight_variants(weights));
  std::vector<std::string> there;
  if (!model.average.empty()) there.push_back(model.average);
  for (const std::string& variant : variants) {
    if (!is_average(variant)) continue;
    const std::string found = variant.substr(kAverageVariant.size());
    if (found == decay) return variant;
    there.push_back(found);
  }
  return not_found("{} has no average of decay {}; {}", folder.string(), decay,
                   there.empty() ? "its weights do not say what they are"
                                 : "those that it has are " + joined(there));
}

Result<Model> load_scheduled_model(const Path& folder, std::string_view variant) {
  ITO_ASSIGN(Model model, load_whole_model(folder, variant));
  if (!model.scheduler_missing) return model;
  return not_found(
      "{} has no scheduler: neither scheduler/scheduler_config.json in it or beside it nor "
      "scheduler_config.json is there; give the pipeline's folder",
      folder.string());
}

Result<uint32_t> class_called(const std::string& text, const Path& folder, const Model& model) {
  const auto classes = static_cast<uint32_t>(model.num_classes());
  if (classes == 0)
    return invalid_argument("the model in {} has no classes, --class {} was given", folder.string(),
                            text);
  ITO_ASSIGN(const std::optional<ClassNames> names, read_class_names(folder));
  ITO_ASSIGN(const std::vector<uint32_t> called,
             classes_called(text, names, classes, "--class", folder.string()));
  if (called.size() != 1)
    return invalid_argument("--class is {}, which is {} classes; expected one", text,
                            called.size());
  return called[0];
}

Status save_model(const Path& folder, const Network& network, const SchedulerConfig& scheduler,
                  std::span<const float> weights) {
  CHECK(static_cast<int64_t>(weights.size()) == network.set().size(), "weights of another network");
  Model model;
  model.network = network;
  model.scheduler = scheduler;
  return save_model(folder, model, reader_of(weights));
}

Status save_model(const Path& folder, const Model& model) {
  return save_model(folder, model, weights_of(model));
}

Status save_model(const Path& folder, const Model& model, const WeightReader& weights) {
  const Network& network = model.network;
  DiffusersModel file{.denoiser = file_of(network, model.extra, weights, model.average),
                      .vae = {},
                      .scheduler = model.scheduler,
                      .index = model.index};
  if (const auto& decoder = model.decoder)
    file.vae = file_of(decoder->network, decoder->extra, weights_of(*decoder), decoder->average);
  if (const NetworkParts* parts = parts_of(network.row())) {
    PartFiles files = split_parts(*parts, std::move(file.denoiser));
    ITO_TRY(write_network(folder / parts->folder, files.part));
    file.denoiser = std::move(files.body);
  }
  const NetworkClass& entry = class_of_network(file.denoiser.network);
  if (!entry.folder.empty()) return write_diffusers(folder, file);
  if (keeps_schedule(network, entry))
    file.denoiser.extra[kNoiseSchedule] = scheduler_config_json(model.scheduler);
  return write_network(folder, file.denoiser);
}

Status save_average(const Path& folder, const Network& network, const WeightReader& weights,
                    const std::string& decay) {
  NetworkFile file = file_of(network, Json::object(), weights, decay);
  const std::string variant = std::string(kAverageVariant) + decay;
  if (const NetworkParts* parts = parts_of(network.row())) {
    PartFiles files = split_parts(*parts, std::move(file));
    ITO_TRY(write_weights(folder / parts->folder, files.part.network, files.part.weights, variant));
    file = std::move(files.body);
  }
  const NetworkClass& entry = class_of_network(file.network);
  return write_weights(folder / entry.folder, file.network, file.weights, variant);
}

std::map<std::string, Json> model_configs(const Model& model) {
  const Network& network = model.network;
  NetworkFile file{.network = std::string(network.row()),
                   .config = network.config(),
                   .extra = Json::object(),
                   .weights = {}};
  std::map<std::string, Json> configs;
  if (const NetworkParts* parts = parts_of(network.row())) {
    PartFiles files = split_parts(*parts, std::move(file));
    configs[parts->folder] = network_config_json(files.part.network, files.part.config);
    file = std::move(files.body);
  }
  const NetworkClass& entry = class_of_network(file.network);
  const bool pipeline = !entry.folder.empty();
  configs[pipeline ? std::string(entry.folder) : file.network] =
      network_config_json(file.network, file.config);
  if (model.decoder)
    configs[kVaeFolder] =
        network_config_json(model.decoder->network.row(), model.decoder->network.config());
  if (pipeline || keeps_schedule(network, entry))
    configs["scheduler"] = scheduler_config_json(model.scheduler);
  return configs;
}

Result<Component> load_classifier(const Path& folder, std::string_view variant) {
  ITO_ASSIGN(Model model, load_model(folder, variant));
  ITO_TRY(model.network.expect_row(kClassifier, folder.string()));
  return Component(std::move(model));
}

}  // namespace ito
