#include "api/objectives/score_support.h"

#include <cmath>
#include <utility>

#include "api/choices.h"
#include "api/model_score.h"
#include "api/training_rows.h"
#include "base/error.h"
#include "diffusion/score_model.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "io/datasets/image_distance.h"

namespace ito {
namespace {

struct ProjectionRow {
  Name name;
  Projection kind;
};
constexpr ProjectionRow kProjections[] = {
    {{"rademacher", "independent signs", "Hutchinson 1990", ""}, Projection::kRademacher},
    {{"gaussian", "standard normals", "Song et al. 2019, section 3", ""}, Projection::kGaussian},
};

constexpr int kPictureSteps = 50;  // predictor and corrector each

// Rounded up, so that a configuration reads well.
Result<double> measured_sigma_max(const ImageDataset& data) {
  ITO_ASSIGN(const double distance, largest_image_distance(data));
  return std::ceil(distance * 100) / 100;
}

// Means over pixels, as of the discrete chain.
ContinuousLoss continuous_loss(const ScoreWeightRow& weight) {
  ContinuousLoss options;
  options.weighting = weight.weighting;
  options.sampling = weight.sampling;
  options.reduce_mean = true;
  options.start = kFirstTrainingTime;
  return options;
}

// t uniform, or on the ladder randint(0, L)/(L-1).
std::function<std::vector<double>(TorchGenerator&, size_t)> held_out_times(int64_t ladder) {
  if (ladder == 0)
    return [](TorchGenerator& generator, size_t n) {
      std::vector<float> t(n);
      generator.uniform(t, kFirstTrainingTime, 1);
      return std::vector<double>(t.begin(), t.end());
    };
  return [ladder](TorchGenerator& generator, size_t n) {
    std::vector<int64_t> levels(n);
    generator.randint(levels, ladder);
    std::vector<double> t;
    for (int64_t level : levels)
      t.push_back(static_cast<float>(level) / static_cast<float>(ladder - 1));
    return t;
  };
}

// The squared error of the score, weighted by the variance of the noise: the mean squared error of
// the noise it implies.
Validation held_out_score(const ScoreTraining& training) {
  return held_out({.times = held_out_times(training.ladder),
                   .loss = [sde = training.sde, scheduler = training.scheduler,
                            input = noise_input(training.network)](
                               const Denoiser& network, Tensor x0, Tensor time, Tensor noise) {
                     return continuous_dsm_loss(x0, time, noise, sde,
                                                network_score(network, input, scheduler),
                                                continuous_loss(score_weight_rows().front()))
                         .loss;
                   }});
}

}  // namespace

std::vector<Name> projection_choices() { return names_of(kProjections); }

Result<ProjectionDraw> projection_draw(const TrainingOptions& options) {
  ITO_ASSIGN(const ProjectionRow* row, row_called(std::span<const ProjectionRow>(kProjections),
                                                  options.projection, "--projection"));
  return ProjectionDraw([kind = row->kind, m = int64_t{options.projections}](
                            const Shape& shape, const Randomness& random) {
    return draw_projections(kind, m, shape, random.key, random.image, random.step);
  });
}

ObjectiveLoss ScoreTraining::loss(ScoreTrainingLoss each) const {
  return [each = std::move(each), sde = sde, ladder = ladder, scheduler = scheduler,
          continuous = continuous, told = noise_input(network), denoiser = denoiser](
             const Scope& parameters, const Batch& batch, const Randomness& random) -> LossResult {
    const Tensor t =
        ladder > 0 ? ladder_time(random_index(random.key, random.image, random.step,
                                              kStreamTrainTimestep, static_cast<uint32_t>(ladder)),
                                 ladder)
                   : draw_times(sde, random.key, random.image, random.step, continuous);
    const Tensor noise =
        draw_score_noise(batch.images.shape(), random.key, random.image, random.step);
    return each(batch.images, t, noise,
                network_score(denoiser(parameters, batch, random), told, scheduler), random);
  };
}

Result<ScoreTraining> score_training(const TrainingInput& input) {
  const TrainingOptions& options = input.options;
  ScoreTraining training;
  training.scheduler = scheduler_config(options, input.initial);
  ITO_ASSIGN(training.network, image_network(input));
  ITO_ASSIGN(const TrainedProcessRow* process, trained_process(options));
  if (process->sigma_from_data && options.sigma_max == 0) {
    ITO_ASSIGN(training.scheduler.sigma_max, measured_sigma_max(input.data));
    training.objective.notes.push_back(
        fmt::format("sigma_max is {}: the largest distance found between two training images",
                    training.scheduler.sigma_max));
  }
  ITO_ASSIGN(training.sde, scheduler_sde(training.scheduler));
  if (training.scheduler.ladder) {
    ITO_ASSIGN(const std::optional<int> levels, ladder_of(options));
    if (!levels) {
      ITO_ASSIGN(training.scheduler.num_train_timesteps,
                 automatic_ladder(training.scheduler, input.dimensions()));
      training.objective.notes.push_back(
          fmt::format("the ladder has {} noise levels, by which neighbours overlap by half",
                      training.scheduler.num_train_timesteps));
    }
    training.ladder = training.scheduler.num_train_timesteps;
  }
  ITO_ASSIGN(const ScoreWeightRow* weight,
             row_called(score_weight_rows(), options.dsm_weight, "--dsm-weight"));
  training.continuous = continuous_loss(*weight);
  ITO_TRY(check_continuous_loss(training.continuous, training.sde));
  training.denoiser = trained_denoiser(input, training.network);
  training.objective.scheduler = training.scheduler;
  training.objective.ports = image_ports(input);
  training.objective.validation = held_out_score(training);
  training.objective.pictures = {.sampler = "pc", .steps = kPictureSteps};
  return training;
}

}  // namespace ito
