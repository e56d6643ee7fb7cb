#include "diffusion/gaussian_mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {

namespace {

// The components of p(x_t) at each image: component k is N(a μ_k, a² v_k + s²).
struct Components {
  Tensor a, s;         // [n, 1, 1]
  Tensor means;        // μ_k [1, K, D]
  Tensor variances;    // v_k [1, K, D]
  Tensor difference;   // x - a μ_k [n, K, D]
  Tensor total;        // a² v_k + s² [n, K, D]
  Tensor log_density;  // ln of weight times density, but for -D ln(2π)/2 [n, K]
};

Components components_at(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
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
  Components at;
  at.means = constant(graph, {1, components, dimensions}, std::move(means));
  at.variances = constant(graph, {1, components, dimensions}, std::move(variances));
  const Tensor log_w = constant(graph, {1, components}, std::move(log_weights));
  at.a = reshape(a, {n, 1, 1});
  at.s = reshape(s, {n, 1, 1});
  at.difference = reshape(x, {n, 1, dimensions}) - at.a * at.means;
  at.total = square(at.a) * at.variances + square(at.s);
  at.log_density = log_w - 0.5 * sum(square(at.difference) / at.total + log(at.total), {2});
  return at;
}

}  // namespace

MixturePosterior mixture_posterior(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  const Components at = components_at(mixture, x, a, s);
  const int64_t n = x.dim(0), components = at.log_density.dim(1);
  const Tensor responsibility = reshape(softmax(at.log_density), {n, components, 1});
  const Tensor x0 =
      sum(responsibility * (at.means + at.a * at.variances / at.total * at.difference), {1});
  const Tensor score = -sum(responsibility * at.difference / at.total, {1});
  const Tensor epsilon = reshape(at.s, {n, 1}) * -score;
  return {.x0 = reshape(x0, x.shape()),
          .epsilon = reshape(epsilon, x.shape()),
          .score = reshape(score, x.shape())};
}

Tensor mixture_log_density(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  return logsumexp(mixture_log_densities(mixture, x, a, s), {1});
}

Tensor mixture_log_densities(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s) {
  const double dimensions = static_cast<double>(x.shape().numel() / x.dim(0));
  return components_at(mixture, x, a, s).log_density -
         0.5 * dimensions * std::log(2 * std::numbers::pi);
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

}  // namespace ito
