#include "diffusion/marginal.h"

#include <cmath>
#include <utility>
#include <vector>

#include "graph/builder.h"

namespace ito {

MarginalFunction schedule_marginal(const NoiseSchedule& schedule) {
  std::vector<double> table;
  for (int t = 0; t < schedule.num_timesteps(); ++t)
    table.insert(table.end(),
                 {std::sqrt(schedule.alpha_bar(t)), std::sqrt(1 - schedule.alpha_bar(t))});
  return [table = std::move(table)](Tensor t) {
    const Tensor index = t.dtype() == DType::kF32 ? cast(t, DType::kU32) : t;
    const int64_t n = index.shape().numel();
    const int64_t rows = static_cast<int64_t>(table.size()) / 2;
    const Tensor row = gather(constant(t.graph(), {rows, 2}, table), reshape(index, {n}));
    return Marginal{.mean = reshape(slice_axis(row, 1, 0, 1), t.shape()),
                    .std = reshape(slice_axis(row, 1, 1, 2), t.shape())};
  };
}

MarginalFunction sde_marginal(const Sde& sde) {
  return [sde](Tensor t) { return Marginal{.mean = sde.mean(t), .std = sde.std(t)}; };
}

}  // namespace ito
