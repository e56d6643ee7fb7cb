// Gaussian mixtures as data distributions. They stay mixtures under the noising chain, so the best
// possible network is known in closed form: an exact oracle for losses, samplers and guidance.
// Not a model to train.
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace ito {

// Σ_k weights[k] N(means[k], diag(variances[k])) in D dimensions; weights sum to 1, variances > 0.
struct GaussianMixture {
  std::vector<double> weights;                 // [K]
  std::vector<std::vector<double>> means;      // [K][D], elements of an image in row-major order
  std::vector<std::vector<double>> variances;  // [K][D]
};

// E[x_0 | x_t], E[ε | x_t] and ∇ ln p(x_t) = -E[ε | x_t]/s for x_t = a x_0 + s ε.
struct MixturePosterior {
  Tensor x0;
  Tensor epsilon;
  Tensor score;  // finite for s = 0 as well
};
// x [n, ...] with D elements per image; a and s [n], not both zero.
MixturePosterior mixture_posterior(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s);
// ln of the density of x_t = a x_0 + s ε in nats, f32 [n]; arguments as above.
Tensor mixture_log_density(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s);
// ln(weights[k] p_k(x_t)) of every component, f32 [n, K]: their logsumexp is the above, their
// softmax the exact posterior of the component.
Tensor mixture_log_densities(const GaussianMixture& mixture, Tensor x, Tensor a, Tensor s);

// ln of the density of x_t = a x_0 + s ε at x [D], in nats, on the host.
double mixture_log_density(const GaussianMixture& mixture, std::span<const double> x, double a,
                           double s);

}  // namespace ito
