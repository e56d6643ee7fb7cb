// Sampling: from a model and a sampler's name to what a session replays. The table of samplers that
// see a model as a score stands here (solvers' own: diffusion/samplers.h); together they are what
// `--sampler` knows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/registry.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/method.h"
#include "diffusion/probability_flow.h"
#include "diffusion/sampler_options.h"
#include "diffusion/samplers.h"

namespace ito {

// A sampler on a model: a method of fixed steps, or an ODE to be solved adaptively.
struct Sampling {
  std::optional<Method> method;
  std::optional<ProbabilityFlow> flow;  // without a method: from its end down to `to`
  double to = 0;
  double start_std = 1;  // x begins as this times a standard normal
  // Of methods with affine rows, x at each row: how noisy a picture must be to begin there.
  std::optional<Solver> solver;
};

using ScoreSamplerMaker = Result<Sampling>(const ScoreModel& model, const SchedulerConfig& config,
                                           const SamplerOptions& options);

struct ScoreSamplerEntry {
  Name name;
  ScoreSamplerMaker* make;
  int default_steps;
  // Keys of visit_sampler_fields that it looks at, separated by spaces.
  std::string_view options;
  MootOption* moot = nullptr;
  bool own_levels = false;  // on a ladder as many steps as that has levels, whatever the default
};
std::span<const ScoreSamplerEntry> score_sampler_rows();
// Whether --ald-form has the name of a form.
Status check_annealed_form(const std::string& name);

// Rows of both tables.
std::vector<Name> sampler_rows();
std::vector<std::string> sampler_names();

// Whether the sampler looks at an option (a key of visit_sampler_fields). Unknown samplers: false.
bool sampler_uses(const SamplerOptions& options, std::string_view key);
// The sampler, with what takes the option's meaning away where another choice would give it one.
std::string sampler_without(const SamplerOptions& options, std::string_view key);

// Whether every choice by name is one that exists. The error names the option.
Status check_sampler_choices(const SamplerOptions& options);

// --timesteps taken apart; empty where it is. Errors: no list of whole numbers, or one of another
// length than --steps.
Result<std::vector<int>> timestep_list(const SamplerOptions& options);

// The sampler that a model is drawn with unless told otherwise: what its scheduler asks for; a
// GAN's generator's own.
std::string own_sampler(const SchedulerConfig& config, bool generator);

// Steps where options.steps is 0: as many as --timesteps has, else 50 for solvers (GANs,
// consistency models and LCMs few of their own), 18 for edm (Karras et al. 2022, section 3), the
// levels of a ladder for ald, else 500.
int default_steps(const SamplerOptions& options, const SchedulerConfig& config);

// The config with the choices that options make. Errors: a choice that no scheduler knows.
Result<SchedulerConfig> chosen_config(const SchedulerConfig& config, const SamplerOptions& options);

// What `options` say of a solver's run. Errors: timestep_list's.
Result<SolverOptions> solver_options(const SamplerOptions& options, const SchedulerConfig& config);

// The sampler options.sampler on the model. The model's config must be as the sampler's class reads
// it (as_sampler of io/scheduler_config.h). first_step: rows of a solver that are left out, for
// image to image. Errors: an unknown sampler; numbers, or a model, that it does not take.
Result<Sampling> make_sampling(const DiffusionModel& model, const SamplerOptions& options,
                               int first_step = 0);

}  // namespace ito
