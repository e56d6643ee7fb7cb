// L_simple and its weighted forms: the squared error of ε, x_0 or v at a random timestep of a
// discrete chain (Ho et al. 2020, eq. 14; diffusion/loss.h has the weights).
#include <utility>

#include "api/objectives/chain_support.h"
#include "diffusion/loss.h"

namespace ito {

Result<Trainee> simple_objective(const TrainingInput& input) {
  ITO_ASSIGN(ChainTraining chain, chain_training(input));
  LossOptions weighted;
  weighted.prediction = chain.prediction;
  ITO_ASSIGN(weighted.weight, loss_weight_from_name(input.options.loss_weight));
  Objective objective = chain_objective(chain);
  objective.loss = chain.loss([weighted](Tensor x0, const TrainingDraw& draw,
                                         const NoiseSchedule& schedule, const Denoiser& network) {
    return denoising_loss(x0, draw, schedule, network, weighted).per_image;
  });
  return Trainee{.network = std::move(chain.network), .objective = std::move(objective)};
}

}  // namespace ito
