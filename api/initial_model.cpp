#include "api/initial_model.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/objectives.h"
#include "api/training_rows.h"
#include "base/error.h"
#include "base/name_list.h"
#include "io/network_file.h"
#include "io/scheduler_config.h"
#include "nn/networks.h"

namespace ito {
namespace {

bool gives_variance(const Network& network) {
  const Signature& signature = network.signature();
  return signature.image_out && signature.out_channels == 2 * signature.in_channels;
}

// Whether a training by the row can start from a network of this kind.
bool starts_from(const ObjectiveRow& row, const Network& network) {
  return row.from_model && trains(row, network);
}

// The --sde name of a process.
std::string_view sde_of(ProcessKind process) {
  for (const TrainedProcessRow& row : trained_process_rows())
    if (row.process == process) return row.name.name;
  return "";
}

// The process that the options train on.
ProcessKind process_of(const TrainingOptions& options) {
  const auto row = objective_of(options);
  if (row.ok() && (*row)->process) return *(*row)->process;
  const auto process = trained_process(options);
  return process.ok() ? (*process)->process : ProcessKind::kDiscrete;
}

// The first objective that the model can have been trained by.
const ObjectiveRow* objective_of_model(const Model& model) {
  for (const ObjectiveRow& row : objective_rows()) {
    if (!starts_from(row, model.network) || row.learned_variance != gives_variance(model.network))
      continue;
    const bool fits = row.process ? *row.process == model.scheduler.process
                                  : goes_with(row, sde_of(model.scheduler.process));
    if (fits) return &row;
  }
  return nullptr;
}

// What the network's configuration says in the words of options; gives its deviation of the data.
std::optional<double> take_network(const Network& network, TrainingOptions& o) {
  const NetworkTraining& training = training_of(network);
  ImageNeeds needs;
  if (training.read != nullptr) training.read(network.config(), o, needs);
  for (const NetworkDesign& design : training.designs)
    if (design.made == nullptr || design.made(network.config())) o.network = design.name.name;
  return needs.sigma_data;
}

// What the scheduler says of its process.
void take_process(const Model& model, std::optional<double> sigma_data, const ObjectiveRow& row,
                  TrainingOptions& o) {
  const SchedulerConfig& scheduler = model.scheduler;
  if (row.take != nullptr) return row.take(scheduler, o);
  o.timesteps = scheduler.num_train_timesteps;
  for (const TrainedProcessRow& process : trained_process_rows()) {
    if (process.process != scheduler.process) continue;
    if (sigma_data && process.sigma_data) o.sigma_data = *sigma_data;
    process.take(scheduler, o);
  }
}

std::string merged_option(const Json& value) {
  return value.is_string() ? value.get<std::string>() : dump_json_line(value);
}

// Whether two tensors differ in nothing but how many rows they have.
bool same_but_rows(const Parameter& a, const Parameter& b) {
  const Shape &x = a.spec.foreign_shape, &y = b.spec.foreign_shape;
  if (x.rank() != y.rank() || x.rank() < 1) return false;
  for (int axis = 1; axis < x.rank(); ++axis)
    if (x[axis] != y[axis]) return false;
  return true;
}

// Row k, as PyTorch has it, of the parameter `to` of `weights` becomes row rows[k] of `from`.
void copy_rows(const std::vector<float>& model, const Parameter& from,
               const std::vector<std::optional<uint32_t>>& rows, const Parameter& to,
               std::vector<float>& weights) {
  std::vector<float> foreign(static_cast<size_t>(from.numel()));
  for_each_element(from.spec, [&](int64_t internal, int64_t element) {
    foreign[static_cast<size_t>(element)] = model[static_cast<size_t>(from.offset + internal)];
  });
  const int64_t width = to.numel() / to.spec.foreign_shape[0];
  for_each_element(to.spec, [&](int64_t internal, int64_t element) {
    const auto& row = rows[static_cast<size_t>(element / width)];
    if (row)
      weights[static_cast<size_t>(to.offset + internal)] =
          foreign[static_cast<size_t>(*row * width + element % width)];
  });
}

}  // namespace

Result<InitialModel> open_initial_model(const std::string& folder, std::string_view variant) {
  InitialModel initial{.folder = folder, .model = {}};
  ITO_ASSIGN(initial.model, load_model(folder, variant));
  ITO_ASSIGN(initial.classes, read_class_names(folder));
  const Network& network = initial.model.network;
  if (initial.model.decoder || file_exists(Path(folder) / ".." / "vae" / "config.json"))
    return unsupported(
        "{}: a network of latents, whose pictures the pipeline's vae makes: it is not trained on "
        "here; leave --init out for a new network of pictures, such as --network dit",
        folder);
  if (!initial.model.unread.empty()) return unsupported("{}", initial.model.unread);
  for (const ObjectiveRow& row : objective_rows())
    if (starts_from(row, network)) return initial;
  return unsupported("{}: a training cannot start from a network {}", folder, network.row());
}

InitialModel without_weights(const InitialModel& initial) {
  InitialModel bare{.folder = initial.folder, .model = {}};
  bare.model.network = initial.model.network;
  bare.model.extra = initial.model.extra;
  bare.model.scheduler = initial.model.scheduler;
  bare.model.scheduler_missing = initial.model.scheduler_missing;
  bare.model.index = initial.model.index;
  return bare;
}

Json initial_model_json(const InitialModel& initial) {
  const Model& model = initial.model;
  Json network = network_config_json(model.network.row(), model.network.config());
  for (const auto& [key, value] : model.extra.items()) network[key] = value;
  return {{"model", initial.folder},
          {"network", std::move(network)},
          {"scheduler",
           model.scheduler_missing ? Json(nullptr) : scheduler_config_json(model.scheduler)},
          {"index", model.index}};
}

Result<InitialModel> initial_model_from_json(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  for (const char* key : {"model", "network", "scheduler", "index"}) ITO_TRY(object.require(key));
  InitialModel initial;
  ITO_TRY(object.read("model", &initial.folder));
  Model& model = initial.model;
  ITO_ASSIGN(const NetworkFile file,
             network_from_json(*object.find("network"), where + ": network"));
  ITO_ASSIGN(model.network, make_network(file.network, file.config));
  model.extra = file.extra;
  const Json& scheduler = *object.find("scheduler");
  model.scheduler_missing = scheduler.is_null();
  if (!scheduler.is_null()) {
    ITO_ASSIGN(model.scheduler, parse_scheduler_config(scheduler, where + ": scheduler"));
  }
  model.index = *object.find("index");
  return initial;
}

Result<TrainingOptions> options_of_model(const InitialModel& initial, const TrainingOptions& asked,
                                         const std::set<std::string>& given) {
  const Model& model = initial.model;
  const auto named = [&](std::string_view key) { return given.contains(std::string(key)); };
  const std::set<std::string_view> choosers = objective_keys();
  const bool chosen = std::any_of(choosers.begin(), choosers.end(),
                                  [&](std::string_view key) { return named(key); });
  const ObjectiveRow* own = objective_of_model(model);
  TrainingOptions o = asked;
  const bool told_time = model.network.signature().told_time();
  if (told_time && model.scheduler_missing && !chosen && !named("schedule"))
    return invalid_argument(
        "{} has no scheduler, so what it was trained for is unknown; say it with --schedule, --sde "
        "or --objective",
        initial.folder);
  if (!chosen && (!model.scheduler_missing || !told_time)) {
    if (own == nullptr)
      return unsupported("{}: no objective trains such a network on the process of its scheduler",
                         initial.folder);
    o.objective = own->name.name;
  }
  if (!named("sde") && !model.scheduler_missing) {
    ITO_ASSIGN(const ObjectiveRow* row, objective_of(o));
    const std::string_view sde = sde_of(model.scheduler.process);
    if (!row->process && goes_with(*row, sde)) o.sde = sde;
  }
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(o));
  if (!starts_from(*row, model.network))
    return invalid_argument(
        "--objective {} does not train the network of {}{}", row->name.name, initial.folder,
        own == nullptr ? std::string() : fmt::format("; {} does", own->name.name));
  ITO_TRY(set_defaults(o, given));
  const std::optional<double> sigma_data = take_network(model.network, o);
  if (told_time && !model.scheduler_missing && process_of(o) == model.scheduler.process)
    take_process(model, sigma_data, *row, o);
  // What was asked for stands; but another network than the model's cannot be had.
  const Json wants = to_json(asked);
  Json has = to_json(o);
  Status same;
  const std::string_view free = training_of(model.network).free;
  visit_network_options(o, [&](const char* key, const auto&, const char*) {
    if (same.ok() && named(key) && !lists(free, key) && wants[key] != has[key])
      same = invalid_argument(
          "--{} {} contradicts {}, which has {}; leave the option out, or train without --init",
          key, merged_option(wants[key]), initial.folder, merged_option(has[key]));
  });
  ITO_TRY(same);
  for (const std::string& key : given)
    if (has.contains(key)) has[key] = wants[key];
  // A table of classes is not added to a model without one unless it is asked for.
  if (row->optional_classes && !named("classes") && !model.network.signature().classes.told())
    has["classes"] = false;
  return training_options_from_json(has, initial.folder);
}

Result<Network> initial_network(const InitialModel& initial, const NetworkOptions& options,
                                const ImageNeeds& needs) {
  const Network& model = initial.model.network;
  const NetworkTraining& training = training_of(model);
  if (training.adapt == nullptr)
    return unsupported("{}: a network {}, expected one of images", initial.folder, model.row());
  const Signature& signature = model.signature();
  if (signature.in_channels != needs.in_channels)
    return invalid_argument(
        "the images have {} channels, but {} takes {}{}; or start from a model of {} channels, or "
        "leave --init out for a new network",
        needs.in_channels, initial.folder, signature.in_channels,
        channels_remedy(needs.in_channels, signature.in_channels), needs.in_channels);
  if (signature.out_channels != needs.out_channels)
    return invalid_argument("the objective wants {} output channels, but {} has {}",
                            needs.out_channels, initial.folder, signature.out_channels);
  NetworkConfig config = model.config();
  const Status adapted = training.adapt(config, options, needs);
  if (!adapted.ok())
    return Error{adapted.error().kind, initial.folder + ": " + adapted.error().message};
  return make_network(model.row(), config);
}

SchedulerConfig kept_scheduler(const InitialModel* initial, const SchedulerConfig& made) {
  if (initial == nullptr || initial->model.scheduler_missing ||
      initial->model.scheduler.process != made.process)
    return made;
  SchedulerConfig kept = initial->model.scheduler;
  kept.num_train_timesteps = made.num_train_timesteps;
  return kept;
}

Result<std::vector<float>> initial_weights(const InitialModel& initial, const Network& network,
                                           const ClassNames& classes, uint64_t seed,
                                           std::vector<std::string>& notes) {
  const ParameterSet& from = initial.model.network.set();
  const ParameterSet& set = network.set();
  const std::string_view of_classes = training_of(network).class_parameters;
  std::vector<float> weights = initial_parameters(set, seed);
  std::string of_rows;  // what was said of the rows, which is so of every table
  for (const Parameter& parameter : set.parameters()) {
    const Parameter* source = from.find(parameter.name);
    const bool table = !of_classes.empty() && parameter.name.find(of_classes) != std::string::npos;
    if (table && source != nullptr && same_but_rows(*source, parameter)) {
      const auto rows =
          class_rows(initial.classes, static_cast<uint32_t>(source->spec.foreign_shape[0]), classes,
                     static_cast<uint32_t>(parameter.spec.foreign_shape[0]));
      if (rows) {
        copy_rows(initial.model.weights, *source, rows->from, parameter, weights);
        if (!rows->note.empty() && rows->note != of_rows)
          notes.push_back(fmt::format("{} begins with the rows of {} {}", parameter.name,
                                      initial.folder, rows->note));
        of_rows = rows->note;
        continue;
      }
    } else if (source != nullptr && source->spec.foreign_shape == parameter.spec.foreign_shape) {
      const auto begin = initial.model.weights.begin() + source->offset;
      std::copy(begin, begin + source->numel(), weights.begin() + parameter.offset);
      continue;
    }
    const std::string found = source == nullptr ? "none" : source->spec.foreign_shape.to_string();
    if (!table)
      return invalid_argument("tensor {} would have shape {}, and {} has {}", parameter.name,
                              parameter.spec.foreign_shape.to_string(), initial.folder, found);
    const std::string wanted = parameter.spec.foreign_shape.to_string();
    notes.push_back(
        found == wanted
            ? fmt::format("{} is drawn anew: nothing says which classes the rows of {} are",
                          parameter.name, initial.folder)
            : fmt::format("{} is drawn anew: it has shape {}, and {} has {}", parameter.name,
                          wanted, initial.folder, found));
  }
  for (const Parameter& source : from.parameters())
    if (set.find(source.name) == nullptr)
      notes.push_back(fmt::format("{} of {} is left out", source.name, initial.folder));
  return weights;
}

}  // namespace ito
