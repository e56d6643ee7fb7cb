#include "api/gan_task.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "diffusion/ddgan.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr int64_t kMappingLayers = 3;
// The share of a batch on which the slope penalty is computed: it costs a second derivative, and
// its mean over fewer images is as unbiased.
constexpr int64_t kPenaltyShare = 4;

LossFunction gan_loss(const Shape& shape, int classes, const DdganConfig& config,
                      const NoiseSchedule& schedule, double penalty_weight) {
  return [=](Graph& graph, const Scope& parameters, Tensor counter) {
    const Tensor key = input(graph, batch_name::kKey, {2}, DType::kU32);
    const Tensor image = iota(graph, {shape[0]}, 0);
    const DdganDraw draw = draw_ddgan(shape, config.mapping.latent, key, image, counter, schedule);
    const Tensor x0 = input(graph, batch_name::kImages, shape);
    const Tensor labels =
        classes > 0 ? input(graph, batch_name::kLabels, {shape[0]}, DType::kU32) : Tensor{};
    const auto discriminator_on = [&](const Scope& scope) -> DdganDiscriminator {
      return [&config, labels, scope](Tensor previous, Tensor x, Tensor t) {
        const int64_t n = x.dim(0);
        const Tensor some = labels && n < labels.dim(0) ? slice_axis(labels, 0, 0, n) : labels;
        return ddgan_discriminator(scope, config, previous, x, t, some);
      };
    };
    const DdganGenerator generator = [&](Tensor x, Tensor t, Tensor z) {
      return ddgan_generator(parameters, config.unet, config.mapping, x, t, z, labels);
    };
    const int64_t some = (shape[0] + kPenaltyShare - 1) / kPenaltyShare;
    const DdganLoss loss =
        ddgan_loss(x0, draw, schedule, generator, discriminator_on(parameters),
                   discriminator_on(parameters.frozen()), penalty_weight > 0 ? some : 0);
    const Tensor both = loss.discriminator + loss.generator;
    return penalty_weight > 0 ? both + penalty_weight * loss.penalty : both;
  };
}

}  // namespace

Status describe_gan(const TrainingOptions& options, int image_channels, TrainingTask& task) {
  ITO_ASSIGN(task.scheduler, ddgan_scheduler(options.gan_steps));
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(task.scheduler));
  DdganConfig config;
  config.unet = unet_config(options, image_channels, task.size(), 0);
  config.unet.class_embed_type = "identity";
  config.unet.resnet_time_scale_shift = "scale_shift";
  config.mapping = {.latent = options.latent,
                    .layers = kMappingLayers,
                    .features = int64_t{4} * options.channels[0],
                    .classes = task.classes};
  config.discriminator_channels.assign(options.discriminator_channels.begin(),
                                       options.discriminator_channels.end());
  ITO_ASSIGN(ParameterSet both, ddgan_parameters(config));
  ITO_ASSIGN(const Network generator, ddgan_generator_network({config.unet, config.mapping}));
  task.network = generator.among(std::move(both));
  ITO_TRY(task.network.check_size(task.size(), task.size()));
  if (task.size() >> config.discriminator_channels.size() < 1)
    return invalid_argument(
        "--discriminator-channels has {} levels, too many to halve images of "
        "size {}",
        config.discriminator_channels.size(), task.size());
  task.gan = config;
  task.loss = gan_loss(task.batch_shape, task.classes, config, schedule, options.r1);
  return {};
}

}  // namespace ito
