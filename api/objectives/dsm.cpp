// Denoising score matching of a VE, VP or sub-VP process, in continuous time or on a ladder of
// noise levels (Song et al. 2021, eq. 7; diffusion/score_matching.h).
#include <utility>

#include "api/objectives/score_support.h"

namespace ito {

Result<Trainee> dsm_objective(const TrainingInput& input) {
  ITO_ASSIGN(ScoreTraining training, score_training(input));
  Objective objective = training.objective;
  objective.loss = training.loss(
      [sde = training.sde, continuous = training.continuous](
          Tensor x0, Tensor t, Tensor noise, const ScoreFunction& score, const Randomness&) {
        return continuous_dsm_loss(x0, t, noise, sde, score, continuous).loss;
      });
  return Trainee{.network = std::move(training.network), .objective = std::move(objective)};
}

}  // namespace ito
