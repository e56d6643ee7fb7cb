#include "diffusion/score_matching.h"

#include <cmath>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/registry.h"
#include "diffusion/divergence.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

ScoreLoss loss_of(Tensor per_image) {
  return {.loss = mean_all(per_image), .per_image = per_image};
}

Tensor half_square(Tensor x) { return sum_per_image(square(x)) * 0.5; }

void check_score_shape(Tensor score, Tensor x) {
  CHECK(score.shape() == x.shape(), "score matching: the score gives " + score.shape().to_string() +
                                        ", expected " + x.shape().to_string());
}

double start_of(const ContinuousLoss& options, const Sde& sde) {
  return options.start > 0 ? options.start : sde.start();
}

}  // namespace

ScoreLoss fisher_divergence(Tensor x, Tensor t, const ScoreFunction& score,
                            const ScoreFunction& truth) {
  return loss_of(half_square(score(x, t) - truth(x, t)));
}

ScoreLoss implicit_score_matching(Tensor x, Tensor t, const ScoreFunction& score) {
  const Tensor s = score(x, t);
  check_score_shape(s, x);
  return loss_of(exact_divergence(x, t, score) + half_square(s));
}

ScoreLoss sliced_score_matching(Tensor x, Tensor t, Tensor projections, bool variance_reduced,
                                const ScoreFunction& score) {
  const int64_t m = projections.dim(0), n = x.dim(0);
  const Tensor copies = repeat_batch(x, m);
  const Tensor v = reshape(projections, copies.shape());
  const Tensor s = score(copies, repeat_batch(t, m));
  check_score_shape(s, copies);
  const Tensor form = quadratic_form(s, copies, v);
  const Tensor norm = variance_reduced ? half_square(s) : square(sum_per_image(s * v)) * 0.5;
  return loss_of(mean(reshape(form + norm, {m, n}), {0}));
}

ScoreLoss denoising_score_matching(Tensor x0, Tensor t, Tensor noise, double sigma,
                                   const ScoreFunction& score) {
  const Tensor s = score(x0 + noise * sigma, t);
  check_score_shape(s, x0);
  return loss_of(half_square(s + noise / sigma));
}

ScoreLoss ladder_score_matching(Tensor x0, Tensor t, Tensor noise, Tensor sigma,
                                const ScoreFunction& score) {
  const Tensor sigmas = per_image(sigma, x0.rank());
  const Tensor s = score(x0 + noise * sigmas, t);
  check_score_shape(s, x0);
  return loss_of(half_square(s * sigmas + noise));
}

Status check_continuous_loss(const ContinuousLoss& options, const Sde& sde) {
  if (!(options.start >= 0 && options.start < sde.end()))
    return invalid_argument("start is {}, expected a time of at least 0 and less than {}",
                            options.start, sde.end());
  if (options.sampling == TimeSampling::kImportance &&
      options.weighting != ScoreWeighting::kLikelihood)
    return invalid_argument("importance sampling of times is for likelihood weighting, found std2");
  return {};
}

ScoreLoss continuous_dsm_loss(Tensor x0, Tensor t, Tensor noise, const Sde& sde,
                              const ScoreFunction& score, const ContinuousLoss& options) {
  const Tensor std = sde.std(t);
  const Tensor x_t = per_image(sde.mean(t), x0.rank()) * x0 + per_image(std, x0.rank()) * noise;
  const Tensor s = score(x_t, t);
  check_score_shape(s, x0);
  const Tensor squares = square(per_image(std, x0.rank()) * s + noise);  // λ = std²
  const double elements = static_cast<double>(x0.shape().numel() / x0.dim(0));
  Tensor per = sum_per_image(squares) * (options.reduce_mean ? 1 / elements : 0.5);
  if (options.weighting == ScoreWeighting::kLikelihood) {
    if (options.sampling == TimeSampling::kImportance) {
      const double start = start_of(options, sde);
      const double total = sde.importance_integral(sde.end()) - sde.importance_integral(start);
      per = per * (total / (sde.end() - start));
    } else {
      per = per * square(sde.diffusion(t) / std);
    }
  }
  return loss_of(per);
}

Tensor draw_score_noise(const Shape& shape, Tensor key, Tensor image, Tensor step) {
  return random_normal(shape, key, image, step, kStreamTrainNoise);
}

Tensor time_quantile(const Sde& sde, Tensor u, const ContinuousLoss& options) {
  const double start = start_of(options, sde);
  if (options.sampling == TimeSampling::kUniform) return u * (sde.end() - start) + start;
  const double low = sde.importance_integral(start);
  const double high = sde.importance_integral(sde.end());
  // Rounding may leave the interval by an ulp.
  return clamp(sde.importance_time(u * (high - low) + low), start, sde.end());
}

Tensor draw_times(const Sde& sde, Tensor key, Tensor image, Tensor step,
                  const ContinuousLoss& options) {
  const Shape times{image.dim(0)};
  return time_quantile(sde, random_uniform(times, key, image, step, kStreamTrainTimestep), options);
}

LadderDraw draw_ladder(const std::vector<double>& ladder, Tensor key, Tensor image, Tensor step) {
  const int64_t levels = static_cast<int64_t>(ladder.size());
  const Tensor level =
      random_index(key, image, step, kStreamTrainTimestep, static_cast<uint32_t>(levels));
  return {.level = level, .sigma = gather(constant(key.graph(), {levels}, ladder), level)};
}

Tensor draw_projections(Projection kind, int64_t m, const Shape& shape, Tensor key, Tensor image,
                        Tensor step) {
  // Drawn image by image, so that a split batch draws the same.
  std::vector<int64_t> dims = shape.dims();
  dims.insert(dims.begin() + 1, m);
  std::vector<int64_t> axes = {1, 0};
  for (int axis = 2; axis <= shape.rank(); ++axis) axes.push_back(axis);
  if (kind == Projection::kGaussian)
    return permute(random_normal(Shape(dims), key, image, step, kStreamProjection), axes);
  const Tensor u = permute(random_uniform(Shape(dims), key, image, step, kStreamProjection), axes);
  const Tensor one = full(u.graph(), {}, 1);
  return select(less(u, full(u.graph(), {}, 0.5)), broadcast_to(-one, u.shape()),
                broadcast_to(one, u.shape()));
}

}  // namespace ito
