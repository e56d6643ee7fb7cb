// Flow matching: the velocity of a path between data and noise (diffusion/flow_matching.h). The
// linear path is saved as a flow-matching process, the trigonometric one, which is a chain, as that
// chain with v-prediction.
#include <algorithm>
#include <utility>

#include "api/initial_model.h"
#include "api/objectives/support.h"
#include "base/error.h"
#include "diffusion/flow_matching.h"

namespace ito {
namespace {

constexpr int kFlowPictureSteps = 20;

}  // namespace

Result<Trainee> flow_objective(const TrainingInput& input) {
  FlowOptions flow{.timesteps = input.options.timesteps,
                   .mean = input.options.time_mean,
                   .std = input.options.time_std};
  ITO_ASSIGN(flow.path, flow_path_from_name(input.options.path));
  ITO_ASSIGN(flow.times, flow_times_from_name(input.options.time_sampling));
  ITO_TRY(check_flow_options(flow));
  ITO_ASSIGN(Network network, image_network(input));
  Objective objective;
  objective.scheduler = kept_scheduler(input.initial, flow_scheduler(flow.path, flow.timesteps));
  objective.ports = image_ports(input);
  objective.pictures = {.sampler = objective.scheduler.sampler,
                        .steps = std::min(kFlowPictureSteps, flow.timesteps)};
  objective.loss = [flow, denoiser = trained_denoiser(input, network)](
                       const Scope& parameters, const Batch& batch,
                       const Randomness& random) -> LossResult {
    const FlowDraw draw =
        draw_flow(batch.images.shape(), random.key, random.image, random.step, flow);
    return flow_matching_loss(batch.images, draw, denoiser(parameters, batch, random), flow).loss;
  };
  objective.validation = held_out(
      {.times =
           [](TorchGenerator& generator, size_t n) {
             std::vector<float> t(n);
             generator.uniform(t, 0, 1);
             return std::vector<double>(t.begin(), t.end());
           },
       .loss =
           [flow](const Denoiser& denoiser, Tensor x0, Tensor time, Tensor noise) {
             return flow_matching_loss(x0, {.time = time, .noise = noise}, denoiser, flow).loss;
           }});
  return Trainee{.network = std::move(network), .objective = std::move(objective)};
}

}  // namespace ito
