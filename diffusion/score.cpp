#include "diffusion/score.h"

#include <utility>
#include <vector>

#include "graph/builder.h"

namespace ito {

ScoreFunction energy_score(EnergyFunction energy) {
  return [energy = std::move(energy)](Tensor x, Tensor t) {
    return grad(sum_all(energy(x, t)), {x})[0];
  };
}

ScoreFunction mixture_score(GaussianMixture mixture, Sde sde) {
  return [mixture = std::move(mixture), sde](Tensor x, Tensor t) {
    return mixture_posterior(mixture, x, sde.mean(t), sde.std(t)).score;
  };
}

EnergyFunction mixture_energy(GaussianMixture mixture, Sde sde) {
  return [mixture = std::move(mixture), sde](Tensor x, Tensor t) {
    return mixture_log_density(mixture, x, sde.mean(t), sde.std(t));
  };
}

Tensor per_image(Tensor values, int rank) {
  std::vector<int64_t> dims(static_cast<size_t>(rank), 1);
  dims[0] = values.dim(0);
  return reshape(values, Shape(dims));
}

}  // namespace ito
