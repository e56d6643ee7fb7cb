// L_vlb: the variational bound itself, in bits per dimension but for its constant L_T (Ho et al.
// 2020, eq. 5; Nichol & Dhariwal 2021, section 3.3, whose variance is learned;
// diffusion/variational_bound.h). Its own validation is the same bound on held-out images.
#include <utility>

#include "api/objectives/chain_support.h"
#include "diffusion/variational_bound.h"

namespace ito {

Result<Trainee> vlb_objective(const TrainingInput& input) {
  ITO_ASSIGN(const VarianceType variance, variance_type_from_name(input.options.variance));
  ITO_ASSIGN(ChainTraining chain, chain_training(input, is_learned(variance)));
  if (!is_learned(variance)) chain.scheduler.variance_type = input.options.variance;
  const BoundOptions options{.prediction = chain.prediction, .variance = variance};
  Objective objective = chain_objective(chain);
  objective.loss = chain.loss([options](Tensor x0, const TrainingDraw& draw,
                                        const NoiseSchedule& schedule, const Denoiser& network) {
    return bound_loss(x0, draw, schedule, network, options).per_image;
  });
  objective.validation = held_out(
      {.time_type = DType::kU32,
       .times = uniform_timesteps(chain.schedule.num_timesteps()),
       .loss = [schedule = chain.schedule, options](const Denoiser& network, Tensor x0, Tensor time,
                                                    Tensor noise) {
         return bound_loss(x0, {.timestep = time, .noise = noise}, schedule, network, options).loss;
       }});
  return Trainee{.network = std::move(chain.network), .objective = std::move(objective)};
}

}  // namespace ito
