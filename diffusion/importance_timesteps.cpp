#include "diffusion/importance_timesteps.h"

#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

Tensor ones_where(Tensor condition) {
  Graph& graph = condition.graph();
  return select(condition, full(graph, condition.shape(), 1), full(graph, condition.shape(), 0));
}

}  // namespace

Tensor timestep_probabilities(const TimestepHistory& history, double uniform) {
  Graph& graph = history.losses.graph();
  const int64_t T = history.losses.dim(0), K = history.losses.dim(1);
  const double even = 1 / static_cast<double>(T);
  const Tensor moment = sqrt(mean(square(history.losses), {1}));
  const Tensor p = moment / sum_all(moment) * (1 - uniform) + uniform * even;
  const Tensor missing =
      ones_where(less(history.count, full(graph, {T}, static_cast<double>(K), DType::kU32)));
  const Tensor full_history = less(sum_all(missing), full(graph, {}, 0.5));
  return select(broadcast_to(full_history, {T}), p, full(graph, {T}, even));
}

WeightedTimesteps draw_weighted_timesteps(Tensor probabilities, Tensor key, Tensor image,
                                          Tensor step) {
  Graph& graph = probabilities.graph();
  const int64_t n = image.dim(0), T = probabilities.dim(0);
  // The distribution function at t, as one sum per t: P[i, t] = p_i for i <= t.
  const Tensor row = iota(graph, {T, T}, 0), column = iota(graph, {T, T}, 1);
  const Tensor all = broadcast_to(reshape(probabilities, {T, 1}), {T, T});
  const Tensor upto = sum(select(less(column, row), full(graph, {T, T}, 0), all), {0});
  const Tensor u = random_uniform({n}, key, image, step, kStreamTrainTimestep);
  // How many t have a distribution function of at most u. The last one is 1 but for rounding.
  const Tensor passed = sum(ones_where(less(broadcast_to(reshape(upto, {1, T}), {n, T}),
                                            broadcast_to(reshape(u, {n, 1}), {n, T}))),
                            {1});
  const Tensor timestep =
      cast(minimum(passed, full(graph, {n}, static_cast<double>(T - 1))), DType::kU32);
  const Tensor p = gather(reshape(probabilities, {T, 1}), timestep);
  return {.timestep = timestep, .weight = 1.0 / (reshape(p, {n}) * static_cast<double>(T))};
}

TimestepHistory with_losses(const TimestepHistory& history, Tensor timestep, Tensor losses) {
  Graph& graph = history.losses.graph();
  const int64_t n = timestep.dim(0), T = history.losses.dim(0), K = history.losses.dim(1);
  // Counts are below 2^24 and so exact as floats.
  const Tensor count = cast(history.count, DType::kF32);
  const Tensor mine = broadcast_to(reshape(timestep, {n, 1}), {n, n});
  const Tensor others = broadcast_to(reshape(timestep, {1, n}), {n, n});
  const Tensor earlier = less(iota(graph, {n, n}, 1), iota(graph, {n, n}, 0));
  // How many earlier losses of this batch have the same timestep, and how many each timestep gets.
  const Tensor rank =
      sum(select(earlier, ones_where(equal(mine, others)), full(graph, {n, n}, 0)), {1});
  const Tensor added = sum(
      ones_where(equal(broadcast_to(reshape(timestep, {1, n}), {T, n}), iota(graph, {T, n}, 0))),
      {1});
  const Tensor total = count + added;
  const double length = static_cast<double>(K);
  const Tensor dropped = maximum(total - length, full(graph, {T}, 0));
  const Tensor kept = minimum(total, full(graph, {T}, length));

  // Old losses move `dropped` places to the front.
  const Tensor place = cast(iota(graph, {T, K}, 1), DType::kF32);
  const Tensor from = place + reshape(dropped, {T, 1});
  const Tensor still = less(from, broadcast_to(reshape(count, {T, 1}), {T, K}));
  const Tensor source = cast(iota(graph, {T, K}, 0), DType::kF32) * length +
                        minimum(from, full(graph, {T, K}, length - 1));
  const Tensor moved = reshape(
      gather(reshape(history.losses, {T * K, 1}), reshape(cast(source, DType::kU32), {T * K})),
      {T, K});
  const Tensor old = select(still, moved, full(graph, {T, K}, 0));

  // New ones go behind them, unless as many follow in the same batch that they fall out at once.
  const auto of_image = [&](Tensor values) {
    return reshape(gather(reshape(values, {T, 1}), timestep), {n});
  };
  const Tensor position = of_image(count) + rank - of_image(dropped);
  const Tensor lost = less(position, full(graph, {n}, 0));
  const Tensor index = cast(timestep, DType::kF32) * length + position;
  const double nowhere = static_cast<double>(T * K);
  const Tensor target = cast(select(lost, full(graph, {n}, nowhere), index), DType::kU32);
  const Tensor fresh =
      slice_axis(scatter_add(reshape(losses, {n, 1}), target, T * K + 1), 0, 0, T * K);
  return {.losses = old + reshape(fresh, {T, K}), .count = cast(kept, DType::kU32)};
}

}  // namespace ito
