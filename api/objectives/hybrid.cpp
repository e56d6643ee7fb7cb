// L_hybrid: L_simple for the mean and the variational bound, its mean detached, for a learned
// variance (Nichol & Dhariwal 2021, eq. 16; diffusion/variational_bound.h).
#include <utility>

#include "api/objectives/chain_support.h"
#include "diffusion/variational_bound.h"

namespace ito {

Result<Trainee> hybrid_objective(const TrainingInput& input) {
  ITO_ASSIGN(ChainTraining chain, chain_training(input, /*learned=*/true));
  const BoundOptions options{.prediction = chain.prediction,
                             .variance = VarianceType::kLearnedRange};
  Objective objective = chain_objective(chain);
  objective.loss = chain.loss([options, lambda = input.options.vb_weight](
                                  Tensor x0, const TrainingDraw& draw,
                                  const NoiseSchedule& schedule, const Denoiser& network) {
    return hybrid_loss(x0, draw, schedule, network, options, lambda).per_image;
  });
  return Trainee{.network = std::move(chain.network), .objective = std::move(objective)};
}

}  // namespace ito
