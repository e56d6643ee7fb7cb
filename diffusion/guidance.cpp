#include "diffusion/guidance.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Where the signal is gone (zero terminal SNR) the change of an x_0 estimate, (std²/mean) ∇ log p,
// is 0 · ∞: there the gradient vanishes with the mean.
constexpr double kLeastMean = 1e-6;

Tensor log_probability_gradient(const LogProbability& log_probability, Tensor x, Tensor t,
                                double scale) {
  const Tensor value = log_probability(x, t);
  CHECK(value.shape() == Shape{x.dim(0)},
        "guidance: expected one log probability per image, found " + value.shape().to_string());
  return grad(sum_all(value), {x})[0] * scale;
}

}  // namespace

Tensor classifier_free_guidance(Tensor conditional, Tensor unconditional, double scale,
                                double rescale) {
  const Tensor guided = unconditional + (conditional - unconditional) * scale;
  if (rescale == 0) return guided;
  std::vector<int64_t> axes;
  for (int axis = 1; axis < conditional.rank(); ++axis) axes.push_back(axis);
  const auto deviation = [&](Tensor x) {
    const Tensor centred = x - mean(x, axes, /*keepdim=*/true);
    return sqrt(mean(square(centred), axes, /*keepdim=*/true));
  };
  return guided * ((deviation(conditional) / deviation(guided)) * rescale + (1 - rescale));
}

Denoiser guided_denoiser(Denoiser denoiser, Prediction prediction, MarginalFunction marginal,
                         LogProbability log_probability, double scale) {
  return [denoiser = std::move(denoiser), prediction, marginal = std::move(marginal),
          log_probability = std::move(log_probability), scale](Tensor x, Tensor t) {
    const Tensor output = denoiser(x, t);
    const Marginal level = marginal(t);
    const Tensor g = log_probability_gradient(log_probability, x, t, scale);
    const Tensor mean = per_image(level.mean, x.rank()), std = per_image(level.std, x.rank());
    const Tensor change =
        change_by_score(prediction, g, mean, std, maximum(mean, scalar(x.graph(), kLeastMean)));
    const int axis = x.rank() - 1;
    const int64_t channels = x.dim(axis), all = output.dim(axis);
    if (all == channels) return output + change;
    CHECK(all == 2 * channels, "guidance: the denoiser gives " + output.shape().to_string() +
                                   " for " + x.shape().to_string());
    return concat(
        {slice_axis(output, axis, 0, channels) + change, slice_axis(output, axis, channels, all)},
        axis);
  };
}

ScoreFunction guided_score(ScoreFunction score, LogProbability log_probability, double scale) {
  return [score = std::move(score), log_probability = std::move(log_probability), scale](Tensor x,
                                                                                         Tensor t) {
    return score(x, t) + log_probability_gradient(log_probability, x, t, scale);
  };
}

LogProbability mixture_class_log_probability(GaussianMixture mixture, MarginalFunction marginal,
                                             Tensor labels) {
  return
      [mixture = std::move(mixture), marginal = std::move(marginal), labels](Tensor x, Tensor t) {
        const int64_t n = x.dim(0);
        const Marginal level = marginal(t);
        const Tensor joint = mixture_log_densities(mixture, x, level.mean, level.std);
        const Tensor index = iota(x.graph(), joint.shape(), 1);
        const Tensor own = equal(index, reshape(labels, {n, 1}));
        const Tensor of_label = sum(select(own, joint, scalar(x.graph(), 0)), {1});
        return of_label - logsumexp(joint, {1});
      };
}

}  // namespace ito
