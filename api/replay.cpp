#include "api/replay.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "api/divergence_watch.h"
#include "base/error.h"
#include "diffusion/sampling_program.h"

namespace ito {

Status go_on(bool wanted, const char* what) {
  if (wanted) return {};
  return interrupted("{} was stopped", what);
}

Status reset_states(Executor& executor, const Method& method, const Shape& x) {
  ITO_TRY(executor.enqueue_write(sampling_ports::kStep, std::vector<uint32_t>{0}));
  for (const MethodState& state : method.states) {
    const int64_t size = state.per_image ? x[0] : x.numel();
    ITO_TRY(executor.enqueue_write(sampling_ports::kHistory[state.name],
                                   std::vector<float>(static_cast<size_t>(size))));
  }
  return {};
}

Status replay(Executor& executor, const std::string& name, int steps, const Replay& how) {
  DivergenceWatch watch(executor, name);
  ITO_TRY(watch.start());
  for (int done = 0; done < steps;) {
    if (how.before) ITO_TRY(how.before(done));
    const int some = std::min(how.each, steps - done);
    ITO_TRY(executor.run(static_cast<uint32_t>(some)));
    done += some;
    if (how.after) ITO_TRY(how.after(done));
    ITO_TRY(watch.look());
  }
  return watch.finish();
}

}  // namespace ito
