// The processes of one host, made by this one and connected by sockets: what `--devices 0,1` does
// without MPI. The caller is rank 0 and its children the others.
#pragma once

#include "base/result.h"
#include "ranks/ranks.h"

namespace ito {

// Copies this process so that there are `count` (at least 1); each goes on from here with a rank of
// its own. To be called before there are threads, and before anything is open that two processes
// must not share. Errors: kIo, of the system.
Result<Ranks> start_local_ranks(int count);

}  // namespace ito
