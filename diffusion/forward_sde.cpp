#include "diffusion/forward_sde.h"

#include <cmath>

#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

struct ForwardTable {
  enum Column : size_t { kTime, kOnX, kNoise };
};

}  // namespace

Result<Method> forward_process(const Sde& sde, double end_time, int steps) {
  ITO_TRY(check_sde(sde));
  if (steps < 1) return invalid_argument("{} steps, expected at least 1", steps);
  if (!(end_time > 0 && end_time <= sde.end()))
    return invalid_argument("end_time is {}, expected a time above 0 and at most {}", end_time,
                            sde.end());
  Method chain;
  chain.name = sde_name(sde.kind) + " forward";
  chain.steps = steps;
  chain.columns = {"time", "on_x", "noise"};
  const double dt = end_time / steps;
  for (int i = 0; i < steps; ++i) {
    const double t = i * dt;
    for (double value : {t, 1 + sde.drift(t) * dt, sde.diffusion(t) * std::sqrt(dt)})
      chain.table.push_back(value);
  }
  chain.build = [](const MethodStep& in) {
    using enum ForwardTable::Column;
    return MethodResult{.x = in.row[kOnX] * in.x + in.row[kNoise] * in.noise[0],
                        .watched = {},
                        .states = {},
                        .outputs = {}};
  };
  return chain;
}

}  // namespace ito
