#include "api/objectives/chain_support.h"

#include <algorithm>
#include <span>
#include <utility>

#include "api/choices.h"
#include "diffusion/importance_timesteps.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr Port<float> kLosses{"timestep_losses"};     // [T, kHistoryLength]
constexpr Port<uint32_t> kCounts{"timestep_counts"};  // [T]

// How timesteps are drawn.
struct SamplingRow {
  Name name;
  bool importance;
};
constexpr SamplingRow kSamplings[] = {
    {{"uniform", "every timestep as often", "Ho et al. 2020, algorithm 1", ""}, false},
    {{"importance", "by the root of the loss's second moment", "Nichol & Dhariwal 2021, eq. 18",
      ""},
     true},
};

int timesteps_of(const NoiseSchedule& schedule) { return schedule.num_timesteps(); }

std::vector<StateTensor> history_state(int timesteps) {
  return {{.name = kLosses.name, .shape = {timesteps, kHistoryLength}},
          {.name = kCounts.name, .shape = {timesteps}, .dtype = DType::kU32}};
}

}  // namespace

std::vector<Name> timestep_sampling_choices() { return names_of(kSamplings); }

ObjectiveLoss ChainTraining::loss(ChainLoss each) const {
  return
      [each = std::move(each), schedule = schedule, denoiser = denoiser, importance = importance](
          const Scope& parameters, const Batch& batch, const Randomness& random) -> LossResult {
        TrainingDraw draw =
            draw_training(batch.images.shape(), random.key, random.image, random.step, schedule);
        const Denoiser network = denoiser(parameters, batch, random);
        if (!importance) return mean_all(each(batch.images, draw, schedule, network));
        Graph& graph = batch.images.graph();
        const int64_t T = timesteps_of(schedule);
        const TimestepHistory history{.losses = input(graph, kLosses, {T, kHistoryLength}),
                                      .count = input(graph, kCounts, {T})};
        const WeightedTimesteps drawn = draw_weighted_timesteps(
            timestep_probabilities(history), random.key, random.image, random.step);
        draw.timestep = drawn.timestep;
        const Tensor losses = each(batch.images, draw, schedule, network);
        const TimestepHistory after = with_losses(history, drawn.timestep, losses);
        LossResult result = mean_all(losses * drawn.weight);
        result.updates = {{history.losses, after.losses}, {history.count, after.count}};
        return result;
      };
}

Result<ChainTraining> chain_training(const TrainingInput& input, bool learned) {
  ChainTraining chain;
  chain.scheduler = scheduler_config(input.options, input.initial);
  if (learned) chain.scheduler.variance_type = "learned_range";
  ITO_ASSIGN(chain.schedule, make_schedule(chain.scheduler));
  ITO_ASSIGN(chain.prediction, prediction_from_name(chain.scheduler.prediction_type));
  ITO_ASSIGN(chain.network, image_network(input, {.output_multiple = learned ? 2 : 1}));
  chain.denoiser = trained_denoiser(input, chain.network);
  chain.ports = image_ports(input);
  ITO_ASSIGN(const SamplingRow* sampling,
             row_called(std::span<const SamplingRow>(kSamplings), input.options.time_sampling,
                        "--time-sampling"));
  chain.importance = sampling->importance;
  return chain;
}

Objective chain_objective(const ChainTraining& chain) {
  constexpr int kPictureSteps = 20;
  Objective objective;
  objective.scheduler = chain.scheduler;
  objective.ports = chain.ports;
  if (chain.importance) objective.state = history_state(timesteps_of(chain.schedule));
  objective.pictures = {.sampler = "ddim",
                        .steps = std::min(kPictureSteps, timesteps_of(chain.schedule))};
  const int64_t channels = chain.network.signature().in_channels;
  objective.validation =
      held_out({.time_type = DType::kU32,
                .times = uniform_timesteps(timesteps_of(chain.schedule)),
                .loss = [schedule = chain.schedule, prediction = chain.prediction, channels](
                            const Denoiser& network, Tensor x0, Tensor time, Tensor noise) {
                  // The prediction alone of a network that gives a variance too.
                  const Denoiser first = [&](Tensor x, Tensor t) {
                    const Tensor output = network(x, t);
                    return output.dim(-1) == channels ? output : slice_axis(output, 3, 0, channels);
                  };
                  return denoising_loss(x0, {.timestep = time, .noise = noise}, schedule, first,
                                        {.prediction = prediction})
                      .loss;
                }});
  return objective;
}

}  // namespace ito
