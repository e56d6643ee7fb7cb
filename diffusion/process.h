// The noising processes by name: the rows that `--sde`, messages and documentation read, and all
// that samplers, sessions and converters ask of a process. A new process is one file in
// diffusion/processes/ and one row here. Not what a process is in numbers: diffusion/schedule.h
// (the discrete chain), diffusion/sde.h (VE, VP, sub-VP, EDM), diffusion/flow_matching.h (straight
// paths) and diffusion/edm.h.
#pragma once

#include <span>
#include <string>

#include "base/config.h"
#include "base/registry.h"
#include "diffusion/denoiser.h"
#include "diffusion/probability_flow.h"
#include "diffusion/schedule.h"
#include "diffusion/score_model.h"

namespace ito {

struct DiffusionModel;

// How a Langevin corrector moves, as far as a process's configuration says.
struct CorrectorNumbers {
  double snr = 0.16;
  int moves = 1;  // per predictor step
};

struct ProcessRow {
  Name name;
  ProcessKind kind;

  // The SDE whose score networks of the process give; null: they give something else. Errors: as of
  // scheduler_sde.
  Result<Sde> (*sde)(const SchedulerConfig& config) = nullptr;
  // The time of that SDE at which sampling ends by default; null with `sde`.
  double (*sampling_end)(const SchedulerConfig& config) = nullptr;
  // The score that a network of such a process gives; null with `sde`.
  ScoreFunction (*network_score)(Denoiser network, NoiseInput input,
                                 const SchedulerConfig& config) = nullptr;

  // The way into EDM's coordinates: a model's score, of its own SDE or of the VP SDE with β from
  // 0.1 to 20, unguided. clip: as of model_score.
  Result<ScoreModel> (*score)(const DiffusionModel& model, bool clip);
  // The way out of them: the model that solvers of this process take; null: they take networks
  // trained on it only. config: the model's own.
  DiffusionModel (*from_edm)(const ScoreModel& edm, const SchedulerConfig& config) = nullptr;

  // The probability flow that densities follow; null: that of `score`.
  Result<ProbabilityFlow> (*flow)(const DiffusionModel& model) = nullptr;
  // A guided model's network as solvers of the process ask it; null: guided scores only.
  Result<Denoiser> (*guided_network)(const DiffusionModel& model) = nullptr;
  // The noise of each timestep; null: the process is no chain.
  Result<NoiseSchedule> (*schedule)(const SchedulerConfig& config, Arithmetic arithmetic) = nullptr;

  CorrectorNumbers (*corrector)(const SchedulerConfig& config) = nullptr;  // null: the defaults
  bool predicts = true;  // whether prediction_type says what a model of the process gives
};

std::span<const ProcessRow> process_rows();
const ProcessRow& process_row(ProcessKind kind);
std::string process_name(ProcessKind kind);

}  // namespace ito
