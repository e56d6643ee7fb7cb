// Windows copies no process that runs.
#include "base/error.h"
#include "ranks/local_ranks.h"

namespace ito {

Result<Ranks> start_local_ranks(int count) {
  if (count == 1) return Ranks();
  return unsupported("--devices with {} of them is not there on Windows; start the ranks with mpirun",
                     count);
}

}  // namespace ito
