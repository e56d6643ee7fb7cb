#include "diffusion/samplers.h"

#include "base/error.h"
#include "diffusion/process.h"

namespace ito {

// One file each in diffusion/solvers/.
SolverMaker ddpm_solver, ddim_solver, ddim_inverse_solver;

namespace {

constexpr ProcessKind kDiscrete = ProcessKind::kDiscrete;

constexpr SolverEntry kSolvers[] = {
    {{"ddpm", "ancestral sampling, with every variance", "Ho et al. 2020, algorithm 2", ""},
     kDiscrete,
     ddpm_solver},
    {{"ddim", "deterministic at eta 0, DDPM's variance at eta 1", "Song et al. 2021, eq. 12", ""},
     kDiscrete,
     ddim_solver},
    {{"ddim-inverse", "DDIM run from an image to its noise", "Song et al. 2021, section 4.3",
      "ddim_inverse"},
     kDiscrete,
     ddim_inverse_solver},
};

}  // namespace

std::span<const SolverEntry> solver_rows() { return kSolvers; }

Result<Solver> make_solver(const std::string& name, const SchedulerConfig& config,
                           const SolverOptions& options) {
  ITO_ASSIGN(const SolverEntry* row, row_called(solver_rows(), name, "the sampler"));
  if (row->process != config.process)
    return invalid_argument("sampler {} is for models of the process {}, found one of {}",
                            row->name.name, process_name(row->process),
                            process_name(config.process));
  SchedulerConfig chosen = config;
  if (row->preset != nullptr) row->preset(chosen);
  return row->make(chosen, options);
}

}  // namespace ito
