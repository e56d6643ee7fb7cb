#include "api/task.h"

#include <cmath>
#include <limits>
#include <utility>

#include "api/gan_task.h"
#include "api/image_distance.h"
#include "api/model_score.h"
#include "api/noisy_classifier.h"
#include "base/error.h"
#include "diffusion/edm.h"
#include "diffusion/loss.h"
#include "diffusion/schedule.h"
#include "diffusion/score_matching.h"
#include "diffusion/score_model.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "nn/classifier.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

Tensor images_input(Graph& graph, const Shape& shape) {
  return input(graph, batch_name::kImages, shape);
}

Tensor labels_input(Graph& graph, const Shape& shape) {
  return input(graph, batch_name::kLabels, {shape[0]}, DType::kU32);
}

// The network as losses see it: told the batch's labels, where it has classes.
Denoiser trained_denoiser(const Network& network, const Scope& parameters, Graph& graph,
                          int64_t n) {
  const Conditioning conditioning = session_conditioning(graph, network.signature(), n);
  return [network, parameters, conditioning](Tensor x, Tensor t) {
    return network.build(parameters, x, t, conditioning);
  };
}

LossFunction diffusion_loss(const Shape& shape, const Network& network,
                            const NoiseSchedule& schedule, const LossOptions& options) {
  return [=](Graph& graph, const Scope& parameters, Tensor counter) {
    const Tensor key = input(graph, batch_name::kKey, {2}, DType::kU32);
    const Tensor image = iota(graph, {shape[0]}, 0);
    const TrainingDraw draw = draw_training(shape, key, image, counter, schedule);
    const Denoiser denoiser = trained_denoiser(network, parameters, graph, shape[0]);
    return denoising_loss(images_input(graph, shape), draw, schedule, denoiser, options).loss;
  };
}

// "variance", "likelihood" or "importance"; means over pixels, as of the discrete chain.
ContinuousLoss score_loss_options(const std::string& weight) {
  ContinuousLoss options;
  if (weight != "variance") options.weighting = ScoreWeighting::kLikelihood;
  if (weight == "importance") options.sampling = TimeSampling::kImportance;
  options.reduce_mean = true;
  options.start = kFirstTrainingTime;
  return options;
}

LossFunction score_loss(const Shape& shape, const Network& network,
                        const SchedulerConfig& scheduler, const Sde& sde, int64_t ladder,
                        const ContinuousLoss& options) {
  return [=](Graph& graph, const Scope& parameters, Tensor counter) {
    const Tensor key = input(graph, batch_name::kKey, {2}, DType::kU32);
    const Tensor image = iota(graph, {shape[0]}, 0);
    const Tensor t = ladder > 0
                         ? ladder_time(random_index(key, image, counter, kStreamTrainTimestep,
                                                    static_cast<uint32_t>(ladder)),
                                       ladder)
                         : draw_times(sde, key, image, counter, options);
    const Tensor noise = draw_score_noise(shape, key, image, counter);
    const Denoiser denoiser = trained_denoiser(network, parameters, graph, shape[0]);
    return continuous_dsm_loss(images_input(graph, shape), t, noise, sde,
                               network_score(denoiser, noise_input(network), scheduler), options)
        .loss;
  };
}

// EDM's loss at the noise levels sigma, a mean over images and pixels.
Tensor edm_mean_loss(const Denoiser& network, const SchedulerConfig& scheduler, Tensor x0,
                     Tensor sigma, Tensor noise) {
  const Tensor loss =
      edm_loss(scheduler_denoiser(network, scheduler), {.sigma_data = scheduler.sigma_data}, x0,
               per_image(sigma, x0.rank()) * noise, sigma);
  return sum_all(loss) * (1 / static_cast<double>(x0.shape().numel()));
}

LossFunction edm_training_loss(const Shape& shape, const Network& network,
                               const SchedulerConfig& scheduler, const EdmTraining& training) {
  return [=](Graph& graph, const Scope& parameters, Tensor counter) {
    const Tensor key = input(graph, batch_name::kKey, {2}, DType::kU32);
    const Tensor image = iota(graph, {shape[0]}, 0);
    const Tensor z = random_normal({shape[0]}, key, image, counter, kStreamTrainTimestep);
    const Denoiser denoiser = trained_denoiser(network, parameters, graph, shape[0]);
    return edm_mean_loss(denoiser, scheduler, images_input(graph, shape),
                         edm_training_sigma(z, training.p_mean, training.p_std),
                         draw_score_noise(shape, key, image, counter));
  };
}

// Rounded up, so that a configuration reads well.
double measured_sigma_max(const ImageDataset& data) {
  return std::ceil(largest_image_distance(data) * 100) / 100;
}

LossFunction classifier_loss(const Shape& shape, const Network& classifier) {
  return [=](Graph& graph, const Scope& parameters, Tensor) {
    const Tensor logits = classifier.build(parameters, images_input(graph, shape), {});
    return softmax_cross_entropy(logits, labels_input(graph, shape));
  };
}

// One flat tensor holds all weights (and 32-bit indices reach all of it).
Status check_weights(const ParameterSet& set) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (set.size() <= kMost) return {};
  return unsupported(
      "--channels and --layers-per-block make a network of {} weights, at most {} "
      "are possible",
      set.count(), kMost);
}

}  // namespace

Result<TrainingTask> make_task(const TrainingOptions& options, const ImageDataset& data) {
  if (options.noisy) return make_noisy_classifier_task(options, data);
  TrainingTask task;
  const int size = padded_size(options, data.h, data.w);
  if (data.h > size || data.w > size)
    return invalid_argument("--size is {}, but the images are {}x{}", size, data.h, data.w);
  task.classifier = options.classifier;
  task.batch_shape = {options.batch, size, size, data.c};
  ITO_ASSIGN(task.step, step_options(options));
  if (options.classes || options.classifier) task.classes = data.num_classes();
  if (options.classifier) {
    if (task.classes < 2)
      return invalid_argument("a classifier needs a data set with labels of at least two classes");
    ClassifierConfig config;
    config.in_channels = data.c;
    config.classes = task.classes;
    config.channels.assign(options.channels.begin(), options.channels.end());
    config.norm_groups = options.norm_groups;
    config.image_size = size;
    ITO_ASSIGN(task.network, classifier_network(config));
    ITO_TRY(check_weights(task.network.set()));
    task.loss = classifier_loss(task.batch_shape, task.network);
    return task;
  }
  if (options.gan_steps > 0) {
    ITO_TRY(describe_gan(options, data.c, task));
    ITO_TRY(check_weights(task.network.set()));
    return task;
  }
  task.scheduler = scheduler_config(options);
  ITO_ASSIGN(task.network, unet2d_network(unet_config(options, data.c, size, task.classes)));
  ITO_TRY(task.network.check_training());
  ITO_TRY(check_weights(task.network.set()));
  ITO_TRY(task.network.check_size(size, size));
  if (options.sde != "none") {
    if (options.sde == "ve" && options.sigma_max == 0)
      task.scheduler.sigma_max = measured_sigma_max(data);
    ITO_ASSIGN(task.sde, scheduler_sde(task.scheduler));
    if (task.sde->kind == Sde::Kind::kEdm) {
      task.edm = EdmTraining{.p_mean = options.p_mean, .p_std = options.p_std};
      task.loss = edm_training_loss(task.batch_shape, task.network, task.scheduler, *task.edm);
      return task;
    }
    if (task.scheduler.ladder) {
      ITO_ASSIGN(const std::optional<int> levels, ladder_of(options));
      const int64_t dimensions = int64_t{size} * size * data.c;
      if (!levels) {
        ITO_ASSIGN(task.scheduler.num_train_timesteps,
                   automatic_ladder(task.scheduler, dimensions));
      }
      task.ladder = task.scheduler.num_train_timesteps;
    }
    const ContinuousLoss loss = score_loss_options(options.dsm_weight);
    ITO_TRY(check_continuous_loss(loss, *task.sde));
    task.loss =
        score_loss(task.batch_shape, task.network, task.scheduler, *task.sde, task.ladder, loss);
    return task;
  }
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(task.scheduler));
  LossOptions loss;
  ITO_ASSIGN(loss.prediction, prediction_from_name(options.prediction));
  ITO_ASSIGN(loss.weight, loss_weight_from_name(options.loss_weight));
  task.loss = diffusion_loss(task.batch_shape, task.network, schedule, loss);
  return task;
}

Program validation_program(const TrainingTask& task, int64_t batch) {
  Program program;
  program.name = "validate";
  Graph& graph = *program.graph;
  Shape shape = task.batch_shape;
  shape[0] = batch;
  const Tensor x0 = images_input(graph, shape);
  const Denoiser denoiser = input_denoiser(task.network);
  if (task.edm) {
    program.output("loss",
                   edm_mean_loss(denoiser, task.scheduler, x0, input(graph, "timestep", {batch}),
                                 input(graph, "noise", shape)));
    return program;
  }
  if (task.sde) {
    const Tensor t = input(graph, "timestep", {batch});
    program.output("loss", continuous_dsm_loss(
                               x0, t, input(graph, "noise", shape), *task.sde,
                               network_score(denoiser, noise_input(task.network), task.scheduler),
                               score_loss_options("variance"))
                               .loss);
    return program;
  }
  const NoiseSchedule schedule = std::move(make_schedule(task.scheduler)).value();
  const TrainingDraw draw{.timestep = input(graph, "timestep", {batch}, DType::kU32),
                          .noise = input(graph, "noise", shape)};
  LossOptions options;
  options.prediction = std::move(prediction_from_name(task.scheduler.prediction_type)).value();
  program.output("loss", denoising_loss(x0, draw, schedule, denoiser, options).loss);
  return program;
}

Program accuracy_program(const Network& classifier, const Shape& batch_shape) {
  Program program;
  program.name = "accuracy";
  Graph& graph = *program.graph;
  const Tensor flat = input(graph, state_name::kParameters, {classifier.set().size()});
  const Tensor logits = classifier.build(flat, images_input(graph, batch_shape), {});
  program.output("correct", is_correct(logits, labels_input(graph, batch_shape)));
  return program;
}

}  // namespace ito
