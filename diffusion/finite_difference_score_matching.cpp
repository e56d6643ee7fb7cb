#include "diffusion/finite_difference_score_matching.h"

#include "base/check.h"
#include "diffusion/divergence.h"
#include "graph/builder.h"

namespace ito {

ScoreLoss finite_difference_score_matching(Tensor x, Tensor t, Tensor projections, Tensor h,
                                           const ScoreFunction& score) {
  const int64_t m = projections.dim(0), n = x.dim(0);
  const Tensor copies = repeat_batch(x, m), step = repeat_batch(h, m);
  const Tensor v = reshape(projections, copies.shape());
  const Tensor move = per_image(step, x.rank()) * v;
  // Both ends in one evaluation, of 2m copies of the batch.
  const Tensor ends = concat({copies + move, copies - move}, 0);
  const Tensor s = score(ends, repeat_batch(t, 2 * m));
  CHECK(s.shape() == ends.shape(), "score matching: the score gives " + s.shape().to_string() +
                                       ", expected " + ends.shape().to_string());
  const Tensor ahead = sum_per_image(slice_axis(s, 0, 0, m * n) * v);
  const Tensor behind = sum_per_image(slice_axis(s, 0, m * n, 2 * m * n) * v);
  const Tensor form = (ahead - behind) / (2 * step);
  const Tensor norm = square((ahead + behind) * 0.5) * 0.5;
  const Tensor per = mean(reshape(form + norm, {m, n}), {0});
  return {.loss = mean_all(per), .per_image = per};
}

ScoreLoss noised_finite_difference_score_matching(Tensor x0, Tensor t, Tensor noise,
                                                  Tensor projections, const Sde& sde,
                                                  const ScoreFunction& score) {
  const Tensor std = sde.std(t);
  const Tensor x_t = per_image(sde.mean(t), x0.rank()) * x0 + per_image(std, x0.rank()) * noise;
  const ScoreLoss loss =
      finite_difference_score_matching(x_t, t, projections, std * kFiniteDifferenceStep, score);
  const double elements = static_cast<double>(x0.shape().numel() / x0.dim(0));
  const Tensor per = loss.per_image * square(std) * (1 / elements);
  return {.loss = mean_all(per), .per_image = per};
}

}  // namespace ito
