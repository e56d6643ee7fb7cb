// --devices and MPI: whether this call is one of several processes that share its work, and which
// device it takes. Not what they share (ranks/ranks.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/command.h"
#include "ranks/ranks.h"

namespace ito::apps {

// Of a command that can be shared.
struct RanksChoice {
  std::vector<std::string> devices;  // of --devices; empty: not given
  Ranks ranks;                       // set by join_ranks
};

// --devices, which stands in place of --device. `what`: "trains", "draws", for the help.
void add_devices_option(CLI::App& app, RanksChoice& choice, const std::string& what);

// Becomes a rank where MPI started this process or --devices names several; in the latter case
// there are as many processes from here on. `program`: argv[0]. Errors: as of join_mpi and
// start_local_ranks.
Status join_ranks(RanksChoice& choice, const char* program);

// Whether this process is the one of its job that speaks, known before it has joined.
bool speaks_for_ranks();

// The device of this rank: of --devices the one of its number on its host; else the --device, of
// several that this names, or of the best kind, likewise. Says as open_and_announce, on rank 0,
// what is done on it.
Result<std::unique_ptr<vk::Device>> open_device_of_rank(const RanksChoice& choice,
                                                        const DeviceChoice& device,
                                                        const std::string& what);

// Ends what join_ranks began. `error` null: all is done. Gives whether this process should say it.
bool leave_ranks(const RanksChoice& choice, const Error* error);

}  // namespace ito::apps
