// The ranks of an MPI job: which MPI started this process, by what it leaves in the environment,
// and the adapter to it (mpi/adapter.h), a shared object beside the program that is opened only
// then. Not for starting processes: that is mpirun's or srun's.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "ranks/ranks.h"

namespace ito {

// What started this process as a rank.
struct MpiLauncher {
  std::string adapter;  // "openmpi", "mpich"; empty: no MPI started it
  std::string name;     // for messages: "Open MPI"
  int rank = 0;         // this process's, as the launcher says
  explicit operator bool() const { return !adapter.empty(); }
};
// By the environment.
MpiLauncher mpi_launcher();

// Joins the job. `program`: argv[0], near which the adapters lie: in its folder or in ../lib/ito.
// Errors: kUnsupported, no adapter to this MPI was built; what MPI says.
Result<Ranks> join_mpi(const MpiLauncher& launcher, const std::filesystem::path& program);

}  // namespace ito
