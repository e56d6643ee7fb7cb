// Sliced score matching of a VE, VP or sub-VP process by finite differences (Pang et al. 2020;
// diffusion/finite_difference_score_matching.h): what ssm.cpp minimises, up to the square of a
// small step, without gradients of gradients of the network. Held-out images are judged by
// denoising score matching, which has nearly the same minimum.
#include <utility>

#include "api/objectives/score_support.h"
#include "base/error.h"
#include "diffusion/finite_difference_score_matching.h"

namespace ito {

Result<Trainee> fd_ssm_objective(const TrainingInput& input) {
  ITO_ASSIGN(const ProjectionDraw projections, projection_draw(input.options));
  ITO_ASSIGN(ScoreTraining training, score_training(input));
  Objective objective = training.objective;
  objective.loss = training.loss(
      [sde = training.sde, projections](Tensor x0, Tensor t, Tensor noise,
                                        const ScoreFunction& score, const Randomness& random) {
        return noised_finite_difference_score_matching(x0, t, noise,
                                                       projections(x0.shape(), random), sde, score)
            .loss;
      });
  return Trainee{.network = std::move(training.network), .objective = std::move(objective)};
}

}  // namespace ito
