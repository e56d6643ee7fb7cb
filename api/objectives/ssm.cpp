// Implicit and sliced score matching of a VE, VP or sub-VP process: the score of the noised images
// from themselves alone, by gradients of gradients (Hyvärinen 2005; Song, Garg, Shi, Ermon 2019;
// diffusion/noised_score_matching.h). Held-out images are judged by denoising score matching, which
// has the same minimum.
#include <utility>

#include "api/objectives/score_support.h"
#include "base/error.h"
#include "diffusion/noised_score_matching.h"

namespace ito {
namespace {

Result<Trainee> matching(const TrainingInput& input, ScoreEstimator estimator) {
  ITO_ASSIGN(const ProjectionDraw projections, projection_draw(input.options));
  ITO_ASSIGN(ScoreTraining training, score_training(input));
  Objective objective = training.objective;
  objective.loss = training.loss(
      [sde = training.sde, estimator, projections](
          Tensor x0, Tensor t, Tensor noise, const ScoreFunction& score, const Randomness& random) {
        const Tensor v = projects(estimator) ? projections(x0.shape(), random) : Tensor();
        return noised_score_matching(estimator, x0, t, noise, v, sde, score).loss;
      });
  return Trainee{.network = std::move(training.network), .objective = std::move(objective)};
}

}  // namespace

Result<Trainee> ssm_objective(const TrainingInput& input) {
  return matching(input, ScoreEstimator::kSliced);
}

Result<Trainee> ssm_vr_objective(const TrainingInput& input) {
  return matching(input, ScoreEstimator::kSlicedVarianceReduced);
}

Result<Trainee> ism_objective(const TrainingInput& input) {
  if (input.dimensions() > kMaxImplicitElements)
    return invalid_argument(
        "--objective ism takes the exact trace, an evaluation for each of an image's {} numbers; "
        "at most {} are possible: expected a sliced form, such as ssm",
        input.dimensions(), kMaxImplicitElements);
  return matching(input, ScoreEstimator::kImplicit);
}

}  // namespace ito
