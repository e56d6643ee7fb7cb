#include "diffusion/noised_score_matching.h"

#include "graph/builder.h"

namespace ito {

bool projects(ScoreEstimator estimator) { return estimator != ScoreEstimator::kImplicit; }

ScoreLoss noised_score_matching(ScoreEstimator estimator, Tensor x0, Tensor t, Tensor noise,
                                Tensor projections, const Sde& sde, const ScoreFunction& score) {
  const Tensor std = sde.std(t);
  const Tensor x_t = per_image(sde.mean(t), x0.rank()) * x0 + per_image(std, x0.rank()) * noise;
  const ScoreLoss loss =
      estimator == ScoreEstimator::kImplicit
          ? implicit_score_matching(x_t, t, score)
          : sliced_score_matching(x_t, t, projections,
                                  estimator == ScoreEstimator::kSlicedVarianceReduced, score);
  const double elements = static_cast<double>(x0.shape().numel() / x0.dim(0));
  const Tensor per = loss.per_image * square(std) * (1 / elements);
  return {.loss = mean_all(per), .per_image = per};
}

}  // namespace ito
