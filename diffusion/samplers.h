// Solvers by name: one row each, from which options, messages and documentation are made. A new
// solver is one file in diffusion/solvers/ and one row here.
// Not for samplers that see a model as a score (predictor_corrector.h, langevin.h, ode.h).
#pragma once

#include <span>
#include <string>

#include "base/registry.h"
#include "diffusion/sampler_options.h"
#include "diffusion/solver_options.h"

namespace ito {

struct SolverEntry {
  Name name;
  ProcessKind process;  // of the models whose networks it takes as they are
  SolverMaker* make;
  // What the name says beside the scheduler configuration; may be null.
  void (*preset)(SchedulerConfig& config) = nullptr;
  // Keys of visit_sampler_fields (diffusion/sampler_options.h) that it looks at, by spaces.
  std::string_view options = "steps";
  int default_steps = 50;  // 0: num_train_timesteps
  bool generator = false;  // for networks that generate x_0 from a latent (GANs), and only those
  // The row whose scheduler configuration a preset reads; empty: its own.
  std::string_view configured_as = {};
  bool inverts = false;  // runs from images to their noise: x begins at a picture as it is
  MootOption* moot = nullptr;
};

std::span<const SolverEntry> solver_rows();

// Of s_min, s_max and s_noise where they say which levels are churned.
MootOption moot_without_churn;

// The name under which a scheduler configuration knows the sampler: SolverEntry::configured_as, or
// the name itself.
std::string configured_as(const std::string& name);

// Whether the sampler of that name makes noise of images, and not images of noise.
bool inverts(const std::string& name);

// The solver of that name (with its preset) for a model trained with `config`. Errors: an unknown
// name, a model of another process, and what the solver itself refuses.
Result<Solver> make_solver(const std::string& name, const SchedulerConfig& config,
                           const SolverOptions& options);

}  // namespace ito
