// What `ito train` may be told by name and what each name puts into a configuration: the process of
// --sde, the optimiser and the fall of its learning rate. One row each. Not the objectives
// (api/objectives.h) and not the networks (nn/networks.h).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/training_options.h"
#include "base/config.h"
#include "base/registry.h"
#include "diffusion/process.h"
#include "diffusion/score_matching.h"
#include "nn/network_design.h"
#include "nn/optim.h"

namespace ito {

struct TrainedProcessRow {
  Name name;
  ProcessKind process;
  // The keys of the options that not every process looks at, which this one does, by spaces.
  std::string_view options;
  const char* sampler;  // what the saved scheduler configuration asks for
  double sampling_eps;  // when its sampling ends
  // Writes the process's own numbers.
  void (*describe)(const TrainingOptions& options, SchedulerConfig& config);
  // Reads those of a model's scheduler.
  void (*take)(const SchedulerConfig& config, TrainingOptions& options);
  bool sigma_from_data = false;  // --sigma-max 0: the largest distance between two images
  bool ladder = false;           // takes --ladder
  bool preconditioned = false;   // EDM's: p-mean and p-std, and not --dsm-weight
  bool sigma_data = false;       // a network may be preconditioned by the data's deviation

  // Whether it is an SDE, whose models are scores; else it is a chain of --schedule.
  bool score() const { return process_row(process).sde != nullptr; }
};
std::span<const TrainedProcessRow> trained_process_rows();
// That of --sde. Errors name the option.
Result<const TrainedProcessRow*> trained_process(const TrainingOptions& options);

// That of --network, where it goes with --sde. Errors name the option.
Result<const NetworkDesign*> trained_network(const TrainingOptions& options);

struct OptimizerRow {
  Name name;
  Optimizer::Kind kind;
};
struct DecayRow {
  Name name;
  LearningRate::Decay decay;
  bool falls = true;  // to an end, at --decay-steps
};
std::span<const OptimizerRow> optimizer_rows();
std::span<const DecayRow> decay_rows();

// Of --dsm-weight.
struct ScoreWeightRow {
  Name name;
  ScoreWeighting weighting;
  TimeSampling sampling;
  bool ladder = false;  // goes with --ladder
};
std::span<const ScoreWeightRow> score_weight_rows();

}  // namespace ito
