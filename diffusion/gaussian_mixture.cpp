#include "diffusion/gaussian_mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {

MixturePosterior mixture_posterior(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  Graph& graph = x.graph();
  const int64_t n = x.dim(0);
  const int64_t dimensions = x.shape().numel() / n;
  const int64_t components = static_cast<int64_t>(mixture.weights.size());
  // Axes: image, component, dimension.
  std::vector<double> log_weights, means, variances;
  for (size_t k = 0; k < mixture.weights.size(); ++k) {
    CHECK(static_cast<int64_t>(mixture.means[k].size()) == dimensions &&
              static_cast<int64_t>(mixture.variances[k].size()) == dimensions,
          "mixture: a component has not as many dimensions as an image has elements");
    log_weights.push_back(std::log(mixture.weights[k]));
    means.insert(means.end(), mixture.means[k].begin(), mixture.means[k].end());
    variances.insert(variances.end(), mixture.variances[k].begin(), mixture.variances[k].end());
  }
  const Tensor mu = constant(graph, {1, components, dimensions}, std::move(means));
  const Tensor v = constant(graph, {1, components, dimensions}, std::move(variances));
  const Tensor log_w = constant(graph, {1, components}, std::move(log_weights));
  const Tensor a3 = reshape(a, {n, 1, 1});
  const Tensor s3 = reshape(s, {n, 1, 1});

  // Component k of p(x_t) is N(a μ_k, a² v_k + s²).
  const Tensor difference = reshape(x, {n, 1, dimensions}) - a3 * mu;
  const Tensor total = square(a3) * v + square(s3);
  const Tensor log_density = log_w - 0.5 * sum(square(difference) / total + log(total), {2});
  const Tensor responsibility = reshape(softmax(log_density), {n, components, 1});
  const Tensor x0 = sum(responsibility * (mu + a3 * v / total * difference), {1});
  const Tensor epsilon = sum(responsibility * (s3 / total * difference), {1});
  return {.x0 = reshape(x0, x.shape()), .epsilon = reshape(epsilon, x.shape())};
}

double mixture_log_density(const GaussianMixture& mixture, std::span<const double> x, double a,
                           double s) {
  std::vector<double> terms;
  double largest = -std::numeric_limits<double>::infinity();
  for (size_t k = 0; k < mixture.weights.size(); ++k) {
    double term = std::log(mixture.weights[k]);
    for (size_t d = 0; d < x.size(); ++d) {
      const double variance = a * a * mixture.variances[k][d] + s * s;
      const double difference = x[d] - a * mixture.means[k][d];
      term -=
          0.5 * (difference * difference / variance + std::log(2 * std::numbers::pi * variance));
    }
    terms.push_back(term);
    largest = std::max(largest, term);
  }
  double total = 0;
  for (const double term : terms) total += std::exp(term - largest);
  return largest + std::log(total);
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
