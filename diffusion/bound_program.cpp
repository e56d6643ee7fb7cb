#include "diffusion/bound_program.h"

#include <algorithm>

#include "base/error.h"
#include "diffusion/sampling_program.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {

Result<BoundStrata> bound_strata(int timesteps, int terms) {
  terms = std::min(terms, timesteps);
  if (terms < std::min(2, timesteps))
    return invalid_argument("{} terms of the bound were asked for, expected at least 2", terms);
  BoundStrata strata{.first = {0}, .width = {1}};
  const int rest = timesteps - 1, count = terms - 1;
  for (int k = 0; k < count; ++k) {
    const int64_t from = int64_t{rest} * k / count, to = int64_t{rest} * (k + 1) / count;
    strata.first.push_back(static_cast<int>(1 + from));
    strata.width.push_back(static_cast<int>(to - from));
  }
  return strata;
}

Program bound_program(const Shape& shape, const NoiseSchedule& schedule, const Denoiser& denoiser,
                      const BoundOptions& options, const BoundStrata& strata) {
  using namespace bound_ports;
  Program program;
  program.name = "bound";
  Graph& graph = *program.graph;
  const int64_t n = shape[0], N = strata.count();
  const Tensor x0 = input(graph, kX0, shape);
  const Tensor key = input(graph, sampling_ports::kKey, {2});
  const Tensor image = input(graph, sampling_ports::kImage, {n});
  const Tensor step = input(graph, sampling_ports::kStep, {});

  std::vector<double> table;
  for (int64_t k = 0; k < N; ++k)
    table.insert(table.end(), {static_cast<double>(strata.first[static_cast<size_t>(k)]),
                               static_cast<double>(strata.width[static_cast<size_t>(k)])});
  const Tensor row = gather(constant(graph, {N, 2}, std::move(table)), broadcast_to(step, {n}));
  const Tensor first = reshape(slice_axis(row, 1, 0, 1), {n});
  const Tensor width = reshape(slice_axis(row, 1, 1, 2), {n});
  const Tensor u = random_uniform({n}, key, image, step, kStreamBoundTimestep);
  // u * width may round up to width.
  const Tensor place = minimum(floor(u * width), width - 1.0);
  const TrainingDraw draw{.timestep = cast(first + place, DType::kU32),
                          .noise = random_normal(shape, key, image, step, kStreamBoundNoise)};
  const BoundTerms terms = bound_terms(x0, draw, schedule, denoiser, options);

  const Tensor column = reshape(iota(graph, {N}, 0), {1, N});
  const Tensor here = broadcast_to(equal(column, broadcast_to(step, {1, N})), {n, N});
  const auto put = [&](const Port<float>& port, Tensor each) {
    const Tensor all = input(graph, port, {n, N});
    program.update(all, select(here, broadcast_to(reshape(each, {n, 1}), {n, N}), all));
  };
  put(kTerms, terms.bits * width);
  put(kErrors, terms.x0_error);
  program.update(step, step + full(graph, {}, 1, DType::kU32));
  program.output(kPrior, bound_prior(x0, schedule));
  return program;
}

}  // namespace ito
