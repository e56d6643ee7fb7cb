// Consistency training without a teacher: the network at one noise level is pulled towards itself
// at the next lower one, over levels that grow finer (Song & Dhariwal 2023;
// diffusion/consistency.h).
#include "diffusion/consistency.h"

#include <algorithm>
#include <utility>

#include "api/initial_model.h"
#include "api/objectives/support.h"
#include "base/error.h"
#include "diffusion/score.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kSigmaMax = 80;  // Song et al. 2023, appendix C
constexpr int kLevelsSaved = 40;  // of diffusers' configuration: what multistep sampling visits
constexpr int kConsistencyPictureSteps = 2;

// Neighbouring levels for uniform numbers u in (0, 1), at the finest stage, as host numbers.
size_t pair_of(const std::vector<double>& probabilities, double u) {
  size_t pair = 0;
  for (double sum = probabilities[0]; pair + 1 < probabilities.size() && sum < u;)
    sum += probabilities[++pair];
  return pair;
}

}  // namespace

Result<Trainee> consistency_objective(const TrainingInput& input) {
  const TrainingOptions& options = input.options;
  ConsistencySchedule schedule{.sigma_min = options.sigma_min,
                               .sigma_max = options.sigma_max > 0 ? options.sigma_max : kSigmaMax,
                               .first = options.levels_first,
                               .last = options.levels_last,
                               .steps = options.curriculum_steps};
  ITO_TRY(check_consistency_schedule(schedule));
  if (!(options.sigma_data > 0))
    return invalid_argument("--sigma-data is {}, expected more than 0 with --objective consistency",
                            options.sigma_data);
  const ConsistencyScaling scaling{.sigma_data = options.sigma_data,
                                   .sigma_min = schedule.sigma_min};
  ITO_ASSIGN(Network network, image_network(input));
  Objective objective;
  objective.scheduler.process = ProcessKind::kConsistency;
  objective.scheduler.sampler = "consistency";
  objective.scheduler.num_train_timesteps = kLevelsSaved;
  objective.scheduler.sigma_min = schedule.sigma_min;
  objective.scheduler.sigma_max = schedule.sigma_max;
  objective.scheduler.sigma_data = options.sigma_data;
  objective.scheduler.rho = schedule.rho;
  objective.scheduler.clip_sample = false;
  // What a model's own keys say of sampling stays; the levels are this training's.
  const SchedulerConfig made = objective.scheduler;
  objective.scheduler = kept_scheduler(input.initial, made);
  objective.scheduler.sigma_min = made.sigma_min;
  objective.scheduler.sigma_max = made.sigma_max;
  objective.scheduler.sigma_data = made.sigma_data;
  objective.ports = image_ports(input);
  objective.pictures = {.sampler = "consistency", .steps = kConsistencyPictureSteps};
  objective.loss = [schedule, scaling, denoiser = trained_denoiser(input, network)](
                       const Scope& parameters, const Batch& batch,
                       const Randomness& random) -> LossResult {
    const ConsistencyDraw draw =
        draw_consistency(batch.images.shape(), random.key, random.image, random.step, schedule);
    // Both leave out the same (Song & Dhariwal 2023): the scopes draw alike.
    return consistency_loss(
               batch.images, draw,
               consistency_function(denoiser(parameters, batch, random), scaling),
               consistency_function(denoiser(parameters.frozen(), batch, random), scaling))
        .loss;
  };
  // The same loss at the finest levels, whichever the curriculum has reached: "time" is the pair's
  // index.
  const std::vector<double> levels = consistency_levels(schedule, schedule.last);
  objective.validation = held_out(
      {.time_type = DType::kU32,
       .times =
           [p = consistency_probabilities(schedule, schedule.last)](TorchGenerator& generator,
                                                                    size_t n) {
             std::vector<float> u(n);
             generator.uniform(u, 0, 1);
             std::vector<double> pairs;
             for (const float each : u) pairs.push_back(static_cast<double>(pair_of(p, each)));
             return pairs;
           },
       .loss =
           [levels, scaling](const Denoiser& denoiser, Tensor x0, Tensor time, Tensor noise) {
             Graph& graph = x0.graph();
             const int64_t count = static_cast<int64_t>(levels.size());
             const Tensor table = constant(graph, {count, 1}, levels);
             const auto level = [&](Tensor index) {
               return reshape(gather(table, index), {x0.dim(0)});
             };
             const ConsistencyFunction f = consistency_function(denoiser, scaling);
             const ConsistencyDraw draw{
                 .low = level(time),
                 .high = level(time + full(graph, time.shape(), 1, DType::kU32)),
                 .noise = noise};
             return consistency_loss(x0, draw, f, f).loss;
           }});
  return Trainee{.network = std::move(network), .objective = std::move(objective)};
}

}  // namespace ito
