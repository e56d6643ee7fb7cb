#include "tests/golden_runner/golden_models.h"

#include <cmath>

#include "base/error.h"
#include "graph/builder.h"

namespace ito::golden {
namespace {

// t [n] with axes of extent 1 appended up to the rank of x.
Tensor per_image(Tensor t, Tensor x) {
  std::vector<int64_t> dims(static_cast<size_t>(x.rank()), 1);
  dims[0] = t.dim(0);
  return reshape(t, Shape(std::move(dims)));
}

struct Mixture {
  Array means, variances;
  std::vector<double> log_weights;
};

// E[x_0 | x_t] and ε = -s score, each [n, d].
struct MixturePosterior {
  Tensor x0, epsilon;
};

// x [n,d], a and s [n].
MixturePosterior mixture_posterior(const Mixture& mixture, Tensor x, Tensor a, Tensor s) {
  Graph& graph = x.graph();
  const int64_t n = x.dim(0), k = mixture.means.shape[0], d = mixture.means.shape[1];
  const Tensor mean = constant(graph, {1, k, d}, mixture.means.data);
  const Tensor variance = constant(graph, {1, k, d}, mixture.variances.data);
  const Tensor a3 = reshape(a, {n, 1, 1}), s3 = reshape(s, {n, 1, 1});
  const Tensor total = square(a3) * variance + square(s3);  // [n,k,d]
  const Tensor off = reshape(x, {n, 1, d}) - a3 * mean;
  const Tensor pull = off / total;
  const Tensor log_density =
      sum(log(total) + off * pull, {2}) * -0.5 + constant(graph, {1, k}, mixture.log_weights);
  const Tensor responsibility = reshape(softmax(log_density), {n, k, 1});
  return {.x0 = sum(responsibility * (mean + a3 * variance * pull), {1}),
          .epsilon = reshape(s, {n, 1}) * sum(responsibility * pull, {1})};
}

}  // namespace

Denoiser dummy_model() {
  return [](Tensor x, Tensor t) { return x * per_image(t / (t + 1.0), x); };
}

Result<Denoiser> mixture_model(const Case& golden, const NoiseSchedule& schedule,
                               Prediction prediction) {
  Mixture mixture;
  ITO_ASSIGN(mixture.means, golden.array("gmm.means"));
  ITO_ASSIGN(mixture.variances, golden.array("gmm.vars"));
  ITO_ASSIGN(const Array weights, golden.array("gmm.weights"));
  if (mixture.means.shape.rank() != 2 || mixture.variances.shape != mixture.means.shape ||
      weights.shape != Shape{mixture.means.shape[0]})
    return corrupt("gmm.means, gmm.vars and gmm.weights do not fit together");
  for (double weight : weights.data) mixture.log_weights.push_back(std::log(weight));
  std::vector<double> signal, noise;  // √ᾱ, √(1-ᾱ)
  for (double alpha_bar : schedule.alphas_cumprod) {
    signal.push_back(std::sqrt(alpha_bar));
    noise.push_back(std::sqrt(1 - alpha_bar));
  }
  return Denoiser([=](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const int64_t steps = static_cast<int64_t>(signal.size());
    const Tensor index = cast(t, DType::kU32);
    const Tensor a = gather(constant(graph, {steps}, signal), index);
    const Tensor s = gather(constant(graph, {steps}, noise), index);
    const Tensor flat = reshape(x, {x.dim(0), x.dim(-1)});
    const MixturePosterior posterior = mixture_posterior(mixture, flat, a, s);
    const Tensor a2 = reshape(a, {x.dim(0), 1}), s2 = reshape(s, {x.dim(0), 1});
    Tensor output = posterior.epsilon;
    if (prediction == Prediction::kSample) output = posterior.x0;
    if (prediction == Prediction::kV) output = a2 * posterior.epsilon - s2 * posterior.x0;
    return reshape(output, x.shape());
  });
}

Denoiser with_variance(Denoiser model) {
  return [model = std::move(model)](Tensor x, Tensor t) {
    return concat({model(x, t), tanh(x)}, -1);
  };
}

}  // namespace ito::golden
