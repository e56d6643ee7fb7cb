// EDM's preconditioned loss at log-normal noise levels (Karras et al. 2022, table 1;
// diffusion/edm.h).
#include "diffusion/edm.h"

#include <cmath>
#include <utility>

#include "api/objectives/support.h"
#include "diffusion/score_matching.h"
#include "diffusion/score_model.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

// A mean over images and pixels.
Tensor mean_loss(const Denoiser& network, const SchedulerConfig& scheduler, Tensor x0, Tensor sigma,
                 Tensor noise) {
  const Tensor loss =
      edm_loss(scheduler_denoiser(network, scheduler), {.sigma_data = scheduler.sigma_data}, x0,
               per_image(sigma, x0.rank()) * noise, sigma);
  return sum_all(loss) * (1 / static_cast<double>(x0.shape().numel()));
}

}  // namespace

Result<Trainee> edm_objective(const TrainingInput& input) {
  const double p_mean = input.options.p_mean, p_std = input.options.p_std;
  Objective objective;
  objective.scheduler = scheduler_config(input.options, input.initial);
  ITO_ASSIGN(Network network, image_network(input));
  ITO_TRY(scheduler_sde(objective.scheduler));
  objective.ports = image_ports(input);
  objective.pictures = {.sampler = "edm"};
  objective.loss =
      [p_mean, p_std, scheduler = objective.scheduler, denoiser = trained_denoiser(input, network)](
          const Scope& parameters, const Batch& batch, const Randomness& random) -> LossResult {
    const Shape& shape = batch.images.shape();
    const Tensor z =
        random_normal({shape[0]}, random.key, random.image, random.step, kStreamTrainTimestep);
    return mean_loss(denoiser(parameters, batch, random), scheduler, batch.images,
                     edm_training_sigma(z, p_mean, p_std),
                     draw_score_noise(shape, random.key, random.image, random.step));
  };
  // σ = e^{p_mean + p_std z}, z = randn(n).
  objective.validation = held_out(
      {.times =
           [p_mean, p_std](TorchGenerator& generator, size_t n) {
             std::vector<float> z(n);
             generator.randn(z);
             std::vector<double> sigma;
             for (const float each : z) sigma.push_back(std::exp(p_mean + p_std * double{each}));
             return sigma;
           },
       .loss = [scheduler = objective.scheduler](
                   const Denoiser& network_, Tensor x0, Tensor time,
                   Tensor noise) { return mean_loss(network_, scheduler, x0, time, noise); }});
  return Trainee{.network = std::move(network), .objective = std::move(objective)};
}

}  // namespace ito
