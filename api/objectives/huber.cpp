// L_simple with a pseudo-Huber error in place of the square, whose width falls as noise rises,
// against images that do not belong (Khrapov et al. 2024; diffusion/huber.h).
#include "diffusion/huber.h"

#include <utility>

#include "api/objectives/chain_support.h"

namespace ito {

Result<Trainee> huber_objective(const TrainingInput& input) {
  ITO_ASSIGN(ChainTraining chain, chain_training(input));
  LossOptions robust{.prediction = chain.prediction};
  ITO_ASSIGN(robust.weight, loss_weight_from_name(input.options.loss_weight));
  ITO_ASSIGN(std::vector<double> widths,
             huber_widths(input.options.huber_schedule, input.options.huber_c, chain.schedule));
  robust.error = huber_error(std::move(widths));
  Objective objective = chain_objective(chain);
  objective.loss = chain.loss([robust](Tensor x0, const TrainingDraw& draw,
                                       const NoiseSchedule& schedule, const Denoiser& network) {
    return denoising_loss(x0, draw, schedule, network, robust).per_image;
  });
  return Trainee{.network = std::move(chain.network), .objective = std::move(objective)};
}

}  // namespace ito
