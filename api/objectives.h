// Objectives by name: one row each, from which --objective, its help, messages and documentation
// are made. A new objective is one file in api/objectives/ and one row here.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>

#include "api/objective.h"
#include "api/training_options.h"
#include "base/registry.h"

namespace ito {

// What an objective is made for.
struct TrainingInput {
  const TrainingOptions& options;
  const ImageDataset& data;
  Shape batch_shape;                      // [n, h, w, c]
  int classes = 0;                        // of the data's labels, where --classes wants them
  const InitialModel* initial = nullptr;  // that it starts from

  int height() const { return static_cast<int>(batch_shape[1]); }
  int width() const { return static_cast<int>(batch_shape[2]); }
  // Of a network for square images. Error: they are not.
  Result<int> side() const;
  int channels() const { return static_cast<int>(batch_shape[3]); }
  int64_t dimensions() const { return batch_shape.numel() / batch_shape[0]; }
};

struct Trainee {
  Network network;
  Objective objective;
};
using ObjectiveMaker = Result<Trainee>(const TrainingInput& input);

struct ObjectiveRow {
  Name name;
  // Whether these options, without --objective, ask for it. The first row that they ask for is it.
  bool (*implied)(const TrainingOptions& options);
  std::string_view implied_by = {};  // the keys of those options
  // The --sde values that it takes.
  std::string_view processes;
  // Those of the options that not every objective takes, which this one does.
  std::string_view options;
  // What its name says of other options where these are left alone; may be null.
  void (*preset)(TrainingOptions& options);
  ObjectiveMaker* make;
  // Defaults of its own for options whose keys are not among those given; may be null.
  void (*defaults)(TrainingOptions& options, const std::set<std::string>& given) = nullptr;
  bool samples = true;  // whether its models draw images

  // The row of nn/networks.h that it trains; empty: the network of --network. Models with such a
  // network are what a training by it can start from ...
  std::string_view network = {};
  bool from_model = true;
  bool learned_variance = false;  // ... that gives a variance too
  bool optional_classes = true;   // ... with or without classes
  // ... of this process; nothing: of one of `processes`.
  std::optional<ProcessKind> process = {};
  // Reads that process's numbers off such a model's scheduler.
  void (*take)(const SchedulerConfig& config, TrainingOptions& options) = nullptr;
};

std::span<const ObjectiveRow> objective_rows();

// The row that the options ask for, by --objective or by what else they say. Error: no such name.
Result<const ObjectiveRow*> objective_of(const TrainingOptions& options);
TrainingOptions with_preset(const ObjectiveRow& row, TrainingOptions options);

// Whether --sde `name` is one of the row's `processes`.
bool goes_with(const ObjectiveRow& row, std::string_view name);

// Whether it trains such networks.
bool trains(const ObjectiveRow& row, const Network& network);

// The objective's and the network's own defaults for options whose keys are not in `given`. Errors:
// of --objective and --network.
Status set_defaults(TrainingOptions& options, const std::set<std::string>& given);

// The keys that say, given alone, what is trained on which process.
std::set<std::string_view> objective_keys();

// Whether every option that was changed is one that objective and network take; the error names
// option and takers.
Status check_objective_options(const TrainingOptions& options);

}  // namespace ito
