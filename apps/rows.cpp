#include "apps/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/choices.h"
#include "api/interpolation.h"
#include "api/measured_images.h"
#include "api/objectives.h"
#include "api/sample_stores.h"
#include "api/training_rows.h"
#include "apps/choices.h"
#include "base/device_forms.h"
#include "base/error.h"
#include "base/name_list.h"
#include "base/name_pattern.h"
#include "base/precision.h"
#include "diffusion/choices.h"
#include "diffusion/flow_matching.h"
#include "diffusion/predictor_corrector.h"
#include "diffusion/process.h"
#include "diffusion/sampling.h"
#include "diffusion/toy_data.h"
#include "io/dataset.h"
#include "io/pictures/picture.h"
#include "io/scheduler_classes.h"
#include "nn/energy.h"
#include "nn/networks.h"
#include "studies/toy_model.h"

namespace ito::apps {
namespace {

// A row as a table has it.
struct Listed {
  std::string name, help, source, aliases;
  std::string options;  // keys of those that it looks at; empty where the kind has no such column
};
using Table = std::vector<Listed>;

struct Kind {
  Name name;
  // Commands and options that take a name of it, by commas: "train --schedule".
  std::string_view chosen_by;
  Table (*table)();
  bool with_number = false;  // options take NAME:NUMBER
};

// "a_b c" as "`--a-b`, `--c`".
std::string option_list(std::string_view keys) {
  std::vector<std::string> options;
  for (const std::string_view key : names_in(keys))
    options.push_back(fmt::format("`{}`", option_name(key)));
  return joined(options);
}

Listed listed(const Name& name, std::string_view options = {}) {
  return {std::string(name.name), std::string(name.help), std::string(name.source),
          std::string(name.aliases), std::string(options)};
}

Table table_of(const std::vector<Name>& names) {
  Table table;
  for (const Name& name : names) table.push_back(listed(name));
  return table;
}

// Of a function that gives the names, and of one that gives the rows.
template <std::vector<Name> (*kNames)()>
Table names() {
  return table_of(kNames());
}
template <auto kRows>
Table rows() {
  return table_of(names_of(kRows()));
}

Table samplers() {
  Table table;
  for (const SolverEntry& row : solver_rows()) table.push_back(listed(row.name, row.options));
  for (const ScoreSamplerEntry& row : score_sampler_rows())
    table.push_back(listed(row.name, row.options));
  return table;
}

Table objectives() {
  Table table;
  for (const ObjectiveRow& row : objective_rows()) {
    table.push_back(listed(row.name, row.options));
    if (lists(row.options, "sde"))
      table.back().help += fmt::format("; with --sde {}", row.processes);
  }
  return table;
}

Table trained_processes() {
  Table table;
  for (const TrainedProcessRow& row : trained_process_rows())
    table.push_back(listed(row.name, row.options));
  return table;
}

Table plans() {
  Table table;
  for (const PlanChoice& row : plan_choices()) table.push_back(listed(row.name, row.options));
  return table;
}

Table interpolations() {
  Table table;
  for (const InterpolationRow& row : interpolation_rows())
    table.push_back(listed(row.name, row.options));
  return table;
}

Table trained_networks() {
  Table table;
  for (const NetworkDesign& row : network_designs()) {
    table.push_back(listed(row.name, row.options));
    table.back().help += fmt::format("; with --sde {}", row.processes);
  }
  return table;
}

Table schedulers() {
  Table table;
  for (const SchedulerClass& row : scheduler_classes())
    table.push_back({.name = row.class_name,
                     .help = fmt::format("process {}, sampler {}",
                                         process_row(row.process).name.name, row.sampler),
                     .source = {},
                     .aliases = {},
                     .options = {}});
  return table;
}

constexpr Kind kKinds[] = {
    {{"samplers", "ways to draw images", "", ""}, "sample --sampler", samplers},
    {{"objectives", "what training minimises", "", ""}, "train --objective", objectives},
    {{"processes", "what models are trained on", "", ""}, "", rows<process_rows>},
    {{"networks", "what folders hold", "", ""}, "", rows<network_rows>},
    {{"schedulers", "classes of scheduler_config.json", "", ""}, "", schedulers},
    {{"forms", "how a folder keeps images", "", ""}, "sample --form", rows<sample_store_rows>},
    {{"trained-processes", "processes to train on", "", ""}, "train --sde", trained_processes},
    {{"trained-networks", "networks to train", "", ""}, "train --network", trained_networks},
    {{"schedules", "betas of a discrete chain", "", ""},
     "train --schedule",
     names<beta_schedule_choices>},
    {{"predictions", "what a network's output means", "", ""},
     "train --prediction",
     names<prediction_choices>},
    {{"variances", "of the reverse steps of a chain", "", ""},
     "sample --variance, train --variance, likelihood --variance",
     names<variance_choices>},
    {{"loss-weights", "weight of each timestep", "", ""},
     "train --loss-weight",
     names<loss_weight_choices>},
    {{"huber-schedules", "where a pseudo-Huber error stops to be squared", "", ""},
     "train --huber-schedule",
     names<huber_width_choices>},
    {{"score-weights", "weight of a score's error at each time", "", ""},
     "train --dsm-weight",
     rows<score_weight_rows>},
    {{"timestep-samplings", "draws of a chain's timesteps", "", ""},
     "train --time-sampling",
     names<timestep_sampling_choices>},
    {{"time-samplings", "draws of a path's times", "", ""},
     "train --time-sampling",
     rows<flow_times_rows>},
    {{"paths", "between images and noise", "", ""}, "train --path", rows<flow_path_rows>},
    {{"projections", "directions of sliced score matching", "", ""},
     "train --projection",
     names<projection_choices>},
    {{"energies", "scalars whose gradient is the prediction", "", ""},
     "train --energy",
     rows<energy_rows>},
    {{"optimizers", "rules by which weights follow gradients", "", ""},
     "train --optimizer",
     rows<optimizer_rows>},
    {{"decays", "falls of the learning rate", "", ""}, "train --lr-decay", rows<decay_rows>},
    {{"device-forms", "devices that kernels are packed for ahead of time", "", ""},
     "pack --form",
     rows<device_form_rows>},
    {{"precisions", "what products multiply in", "", ""},
     "train --precision, sample --precision, forward --precision, inspect --precision",
     rows<precision_rows>},
    {{"timestep-spacings", "which timesteps a run visits", "", ""},
     "sample --spacing",
     names<timestep_spacing_choices>},
    {{"sigma-spacings", "noise levels of a run", "", ""},
     "sample --sigmas",
     names<sigma_spacing_choices>},
    {{"final-sigmas", "the last noise level of a run", "", ""},
     "sample --final-sigma",
     names<final_sigma_choices>},
    {{"algorithms", "what DPM-Solver solves", "", ""},
     "sample --algorithm",
     names<dpm_algorithm_choices>},
    {{"dpm-steps", "second-order steps of DPM-Solver", "", ""},
     "sample --solver-type",
     names<dpm_step_choices>},
    {{"unipc-steps", "step sizes of UniPC", "", ""},
     "sample --solver-type",
     names<unipc_step_choices>},
    {{"predictors", "steps of `pc`", "", ""}, "sample --predictor", rows<predictor_rows>},
    {{"correctors", "moves of `pc` at a noise level", "", ""},
     "sample --corrector",
     rows<corrector_rows>},
    {{"annealed-forms", "moves of `ald`", "", ""},
     "sample --ald-form",
     names<annealed_form_choices>},
    {{"random-sources", "where a run's noise comes from", "", ""},
     "sample --rng",
     names<random_source_choices>},
    {{"inverse-problems", "how an observation was made", "", ""},
     "sample --inverse",
     names<inverse_choices>,
     true},
    {{"interpolations", "ways between two pictures", "", ""},
     "interpolate --method",
     interpolations},
    {{"probes", "how a likelihood takes the divergence", "", ""},
     "likelihood --probe",
     names<divergence_choices>},
    {{"decoders", "how the bound's Gaussian is integrated over a byte", "", ""},
     "likelihood --cdf",
     names<decoder_cdf_choices>},
    {{"toy-data", "data sets in the plane", "", ""}, "toy NAME", names<toy_data_choices>},
    {{"toy-objectives", "what a network in the plane learns by", "", ""},
     "toy --objective",
     rows<toy_objective_rows>},
    {{"toy-networks", "in the plane", "", ""}, "toy --network", names<toy_network_choices>},
    {{"data-sets", "what `--data` may be", "", ""}, "", names<data_set_formats>},
    {{"splits", "parts of a data set", "", ""}, "likelihood --split", rows<measured_parts>},
    {{"pictures", "formats that are read", "", ""}, "", rows<picture_formats>},
    {{"labels", "where the classes of pictures come from", "", ""},
     "train --labels, likelihood --labels, evaluate --labels",
     rows<label_sources>},
    {{"crops", "which part of a picture stays", "", ""},
     "train --crop, likelihood --crop, evaluate --crop",
     rows<crop_places>},
    {{"ranges", "of floating-point images", "", ""},
     "train --range, likelihood --range, evaluate --range",
     rows<value_ranges>},
    {{"number-types", "of the tensors in a file", "", ""},
     "convert --dtype",
     names<number_type_choices>},
    {{"plans", "programs whose compiled form is shown", "", ""}, "inspect --plan", plans},
};

Result<std::vector<Kind>> kinds_called(const std::string& name) {
  const std::span<const Kind> all = kKinds;
  if (name == "all") return std::vector<Kind>(all.begin(), all.end());
  ITO_ASSIGN(const Kind* kind, row_called(all, name, "--list"));
  return std::vector<Kind>{*kind};
}

// The options of Kind::chosen_by.
std::vector<std::string_view> choosers(const Kind& kind) {
  std::vector<std::string_view> options;
  std::string_view rest = kind.chosen_by;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(", "), rest.size());
    options.push_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 2, rest.size()));
  }
  return options;
}

std::string kind_text(const Kind& kind) {
  std::string text = fmt::format("## {}: {}\n", kind.name.name, kind.name.help);
  std::string options;
  for (std::string_view option : choosers(kind))
    options += fmt::format("{}`ito {}`", options.empty() ? "Of " : ", ", option);
  if (!options.empty()) text += options + ".\n";
  const Table table = kind.table();
  bool columns = false, sources = false;
  for (const Listed& row : table) {
    columns = columns || !row.options.empty();
    sources = sources || !row.source.empty();
  }
  text += fmt::format("\n| name | what |{}{}\n|---|---|{}{}\n", columns ? " options |" : "",
                      sources ? " source |" : "", columns ? "---|" : "", sources ? "---|" : "");
  for (const Listed& row : table) {
    const std::string aliases = row.aliases.empty() ? "" : fmt::format(" (also {})", row.aliases);
    text += fmt::format("| `{}` | {}{} |", row.name, row.help, aliases);
    if (columns) text += fmt::format(" {} |", option_list(row.options));
    if (sources) text += fmt::format(" {} |", row.source);
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<std::string> row_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name.name);
  return names;
}

Result<std::string> rows_text(const std::string& name) {
  ITO_ASSIGN(const std::vector<Kind> kinds, kinds_called(name));
  std::string text;
  for (const Kind& kind : kinds) text += (text.empty() ? "" : "\n") + kind_text(kind);
  return text;
}

Result<Json> rows_json(const std::string& name) {
  ITO_ASSIGN(const std::vector<Kind> kinds, kinds_called(name));
  Json json = Json::object();
  for (const Kind& kind : kinds) {
    Json& list = json[std::string(kind.name.name)] = Json::array();
    for (const Listed& row : kind.table())
      list.push_back({{"name", row.name},
                      {"help", row.help},
                      {"source", row.source},
                      {"aliases", row.aliases},
                      {"options", option_list(row.options)}});
  }
  return json;
}

std::string with_takers(std::string_view command, std::string_view key, std::string help) {
  constexpr size_t kMostNames = 7;  // of a kind; more tell nothing
  std::vector<std::string> takers;
  for (const Kind& kind : kKinds) {
    const std::vector<std::string_view> by = choosers(kind);
    const bool own = std::any_of(by.begin(), by.end(), [&](std::string_view option) {
      return option.starts_with(std::string(command) + " ");
    });
    if (!own) continue;
    const Table table = kind.table();
    std::vector<std::string> names;
    for (const Listed& row : table)
      if (lists(row.options, key)) names.push_back(row.name);
    if (names.size() == table.size() || names.size() > kMostNames) continue;
    takers.insert(takers.end(), names.begin(), names.end());
  }
  return takers.empty() ? help : joined(takers) + ": " + help;
}

std::string option_name(std::string_view key) {
  std::string name = "--" + std::string(key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string with_choices(std::string_view option, std::string help) {
  std::set<std::string> seen;
  for (const Kind& kind : kKinds) {
    for (std::string_view chooser : choosers(kind)) {
      if (chooser != option) continue;
      for (const Listed& row : kind.table())
        if (seen.insert(row.name).second) help += fmt::format("; {}: {}", row.name, row.help);
    }
  }
  return help;
}

bool is_choice(std::string_view option) {
  return std::any_of(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) {
    const std::vector<std::string_view> by = choosers(kind);
    return std::find(by.begin(), by.end(), option) != by.end();
  });
}

Status check_choice(std::string_view option, const std::string& value) {
  std::vector<std::string> expected, spellings;
  std::string name = value;
  for (const Kind& kind : kKinds) {
    const std::vector<std::string_view> by = choosers(kind);
    if (std::find(by.begin(), by.end(), option) == by.end()) continue;
    if (kind.with_number) name = value.substr(0, value.find(':'));
    for (const Listed& row : kind.table()) {
      if (std::find(expected.begin(), expected.end(), row.name) == expected.end())
        expected.push_back(row.name);
      spellings.push_back(row.name);
      for (const std::string_view alias : names_in(row.aliases)) spellings.emplace_back(alias);
    }
  }
  if (expected.empty() || std::find(spellings.begin(), spellings.end(), name) != spellings.end())
    return {};
  const std::string near = near_name(name, expected);
  return invalid_argument("{} is \"{}\", expected {}{}", option.substr(option.find(' ') + 1), value,
                          joined(std::vector<std::string>(expected.begin(), expected.end() - 1)) +
                              (expected.size() > 1 ? " or " : "") + expected.back(),
                          near.empty() ? "" : fmt::format("; the nearest is {}", near));
}

}  // namespace ito::apps
