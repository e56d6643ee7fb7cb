#include "diffusion/score_matching.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
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

// ∫_0^t β of VP and sub-VP, and the t at which it is B.
double beta_integral(const Sde& sde, double t) {
  return t * (sde.beta_min + 0.5 * t * (sde.beta_max - sde.beta_min));
}
Tensor time_of_beta_integral(const Sde& sde, Tensor B) {
  // 2B / (β_min + √(β_min² + 2 (β_max - β_min) B)): no cancellation, no division by the slope.
  const Tensor root = sqrt(B * (2 * (sde.beta_max - sde.beta_min)) + sde.beta_min * sde.beta_min);
  return B * 2.0 / (root + sde.beta_min);
}

// Z(t) with dZ/dt = g²/std².
double importance_integral(const Sde& sde, double t) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return 2 * std::log(sde.sigma_max / sde.sigma_min) * t;
    case Sde::Kind::kEdm:
      return 2 * std::log(t);
    case Sde::Kind::kVp:  // β/(1-e^{-B}) = d/dt ln(e^B - 1)
      return std::log(std::expm1(beta_integral(sde, t)));
    case Sde::Kind::kSubVp:  // β (1-e^{-2B})/(1-e^{-B})² = β coth(B/2) = d/dt 2 ln sinh(B/2)
      return 2 * std::log(std::sinh(0.5 * beta_integral(sde, t)));
  }
  CHECK(false, "unknown SDE");
}

// The t at which Z(t) is z.
Tensor importance_time(const Sde& sde, Tensor z) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return z / (2 * std::log(sde.sigma_max / sde.sigma_min));
    case Sde::Kind::kEdm:
      return exp(z * 0.5);
    case Sde::Kind::kVp:
      return time_of_beta_integral(sde, softplus(z));
    case Sde::Kind::kSubVp: {
      // 2 asinh(e^{z/2}); for z > 0 written with e^{-z}, which cannot overflow.
      const Tensor y = exp(minimum(z, full(z.graph(), {}, 0)) * 0.5);
      const Tensor small = log(y + sqrt(square(y) + 1.0)) * 2.0;
      const Tensor q = exp(maximum(z, full(z.graph(), {}, 0)) * -1.0);
      const Tensor large = z + 2.0 * log(sqrt(q + 1.0) + 1.0);
      return time_of_beta_integral(sde, select(less(z, full(z.graph(), {}, 0)), small, large));
    }
  }
  CHECK(false, "unknown SDE");
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

Result<ScoreWeighting> score_weighting_from_name(const std::string& name) {
  if (name == "std2") return ScoreWeighting::kStd2;
  if (name == "likelihood") return ScoreWeighting::kLikelihood;
  return invalid_argument("score weighting is \"{}\", expected std2 or likelihood", name);
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
      const double total = importance_integral(sde, sde.end()) - importance_integral(sde, start);
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
  const double low = importance_integral(sde, start);
  const double high = importance_integral(sde, sde.end());
  // Rounding may leave the interval by an ulp.
  return clamp(importance_time(sde, u * (high - low) + low), start, sde.end());
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
