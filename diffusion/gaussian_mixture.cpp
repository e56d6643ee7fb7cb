#include "diffusion/gaussian_mixture.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {

namespace {

// Component k of p(x_t) is N(a μ_k, a² v_k + s²); axes: image, component, dimension.
struct NoisyComponents {
  Tensor mu, v, a, s;
  Tensor difference;   // x - a μ_k
  Tensor total;        // a² v_k + s²
  Tensor log_density;  // [n, K], without -D/2 ln 2π
};

NoisyComponents noisy_components(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  Graph& graph = x.graph();
  const int64_t n = x.dim(0);
  const int64_t dimensions = x.shape().numel() / n;
  const int64_t components = static_cast<int64_t>(mixture.weights.size());
  std::vector<double> log_weights, means, variances;
  for (size_t k = 0; k < mixture.weights.size(); ++k) {
    CHECK(static_cast<int64_t>(mixture.means[k].size()) == dimensions &&
              static_cast<int64_t>(mixture.variances[k].size()) == dimensions,
          "mixture: a component has not as many dimensions as an image has elements");
    log_weights.push_back(std::log(mixture.weights[k]));
    means.insert(means.end(), mixture.means[k].begin(), mixture.means[k].end());
    variances.insert(variances.end(), mixture.variances[k].begin(), mixture.variances[k].end());
  }
  NoisyComponents c;
  c.mu = constant(graph, {1, components, dimensions}, std::move(means));
  c.v = constant(graph, {1, components, dimensions}, std::move(variances));
  const Tensor log_w = constant(graph, {1, components}, std::move(log_weights));
  c.a = reshape(a, {n, 1, 1});
  c.s = reshape(s, {n, 1, 1});
  c.difference = reshape(x, {n, 1, dimensions}) - c.a * c.mu;
  c.total = square(c.a) * c.v + square(c.s);
  c.log_density = log_w - 0.5 * sum(square(c.difference) / c.total + log(c.total), {2});
  return c;
}

}  // namespace

MixturePosterior mixture_posterior(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  const NoisyComponents c = noisy_components(mixture, x, a, s);
  const Shape per_component{x.dim(0), c.log_density.dim(1), 1};
  const Tensor responsibility = reshape(softmax(c.log_density), per_component);
  const Tensor x0 = sum(responsibility * (c.mu + c.a * c.v / c.total * c.difference), {1});
  const Tensor epsilon = sum(responsibility * (c.s / c.total * c.difference), {1});
  return {.x0 = reshape(x0, x.shape()), .epsilon = reshape(epsilon, x.shape())};
}

Tensor mixture_log_densities(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  const int64_t dimensions = x.shape().numel() / x.dim(0);
  return noisy_components(mixture, x, a, s).log_density -
         0.5 * static_cast<double>(dimensions) * std::log(2 * std::numbers::pi);
}

Denoiser mixture_denoiser(GaussianMixture mixture, NoiseSchedule schedule, Prediction prediction) {
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

}  // namespace ito
