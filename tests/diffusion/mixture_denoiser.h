// The network that a perfect training on Gaussian data would give.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "diffusion/gaussian_mixture.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"
#include "graph/builder.h"

namespace ito::test {

// The denoiser that minimises every loss of diffusion/loss.h on data of this mixture. t is rounded
// down to a timestep of the schedule.
inline Denoiser mixture_denoiser(GaussianMixture mixture, NoiseSchedule schedule,
                                 Prediction prediction) {
  return [mixture = std::move(mixture), schedule = std::move(schedule), prediction](Tensor x,
                                                                                    Tensor t) {
    std::vector<double> roots;
    std::vector<double> rests;
    for (int i = 0; i < schedule.num_timesteps(); ++i) {
      roots.push_back(std::sqrt(schedule.alpha_bar(i)));
      rests.push_back(std::sqrt(1 - schedule.alpha_bar(i)));
    }
    const Tensor index = cast(t, DType::kU32);
    const Shape table{schedule.num_timesteps()};
    const Tensor a = gather(constant(x.graph(), table, std::move(roots)), index);
    const Tensor s = gather(constant(x.graph(), table, std::move(rests)), index);
    const MixturePosterior best = mixture_posterior(mixture, x, a, s);
    std::vector<int64_t> per_image(static_cast<size_t>(x.rank()), 1);
    per_image[0] = x.dim(0);
    return prediction_target(prediction, best.x0, best.epsilon, reshape(a, Shape(per_image)),
                             reshape(s, Shape(per_image)));
  };
}

}  // namespace ito::test
