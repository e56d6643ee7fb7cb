// Implicit and sliced score matching of a VE, VP or sub-VP process: the score of the noised images
// from themselves alone, by gradients of gradients (Hyvärinen 2005; Song, Garg, Shi, Ermon 2019;
// diffusion/noised_score_matching.h). Held-out images are judged by denoising score matching, which
// has the same minimum.
#include <utility>

#include "api/choices.h"
#include "api/objectives/score_support.h"
#include "base/error.h"
#include "diffusion/noised_score_matching.h"

namespace ito {
namespace {

struct ProjectionRow {
  Name name;
  Projection kind;
};
constexpr ProjectionRow kProjections[] = {
    {{"rademacher", "independent signs", "Hutchinson 1990", ""}, Projection::kRademacher},
    {{"gaussian", "standard normals", "Song et al. 2019, section 3", ""}, Projection::kGaussian},
};

Result<Trainee> matching(const TrainingInput& input, ScoreEstimator estimator) {
  ITO_ASSIGN(const ProjectionRow* projection,
             row_called(std::span<const ProjectionRow>(kProjections), input.options.projection,
                        "--projection"));
  ITO_ASSIGN(ScoreTraining training, score_training(input));
  Objective objective = training.objective;
  objective.loss = training.loss(
      [sde = training.sde, estimator, kind = projection->kind,
       m = int64_t{input.options.projections}](
          Tensor x0, Tensor t, Tensor noise, const ScoreFunction& score, const Randomness& random) {
        Tensor v;
        if (projects(estimator))
          v = draw_projections(kind, m, x0.shape(), random.key, random.image, random.step);
        return noised_score_matching(estimator, x0, t, noise, v, sde, score).loss;
      });
  return Trainee{.network = std::move(training.network), .objective = std::move(objective)};
}

}  // namespace

std::vector<Name> projection_choices() { return names_of(kProjections); }

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
        "at most {} are possible: expected ssm or ssm-vr",
        input.dimensions(), kMaxImplicitElements);
  return matching(input, ScoreEstimator::kImplicit);
}

}  // namespace ito
