// A denoising diffusion GAN: both networks in one set of parameters and one loss whose gradient
// moves each by its own (Xiao, Kreis, Vahdat 2022; diffusion/ddgan.h).
#include <utility>

#include "api/objectives.h"
#include "base/error.h"
#include "base/integer.h"
#include "diffusion/ddgan.h"
#include "graph/builder.h"
#include "nn/ddgan.h"
#include "nn/unet2d_training.h"

namespace ito {
namespace {

constexpr int64_t kMappingLayers = 3;
// The share of a batch on which the slope penalty is computed: it costs a second derivative, and
// its mean over fewer images is as unbiased.
constexpr int64_t kPenaltyShare = 4;

ObjectiveLoss gan_loss(const DdganConfig& config, const NoiseSchedule& schedule,
                       double penalty_weight) {
  return [=](const Scope& parameters, const Batch& batch, const Randomness& random) -> LossResult {
    const Shape& shape = batch.images.shape();
    const Tensor labels = batch.labels;
    const DdganDraw draw =
        draw_ddgan(shape, config.mapping.latent, random.key, random.image, random.step, schedule);
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
    const int64_t some = ceil_div(shape[0], kPenaltyShare);
    const DdganLoss loss =
        ddgan_loss(batch.images, draw, schedule, generator, discriminator_on(parameters),
                   discriminator_on(parameters.frozen()), penalty_weight > 0 ? some : 0);
    const Tensor both = loss.discriminator + loss.generator;
    return penalty_weight > 0 ? both + penalty_weight * loss.penalty : both;
  };
}

}  // namespace

Result<Trainee> gan_objective(const TrainingInput& input) {
  const TrainingOptions& options = input.options;
  Objective objective;
  ITO_ASSIGN(objective.scheduler, ddgan_scheduler(options.gan_steps));
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(objective.scheduler));
  DdganConfig config;
  config.unet = plain_unet2d(options, {.in_channels = input.channels(),
                                       .out_channels = input.channels(),
                                       .size = {input.height(), input.width()}});
  config.unet.class_embed_type = "identity";
  config.unet.resnet_time_scale_shift = "scale_shift";
  config.mapping = {.latent = options.latent,
                    .layers = kMappingLayers,
                    .features = int64_t{4} * options.channels[0],
                    .classes = input.classes};
  config.discriminator_channels.assign(options.discriminator_channels.begin(),
                                       options.discriminator_channels.end());
  ITO_ASSIGN(ParameterSet both, ddgan_parameters(config));
  ITO_ASSIGN(const Network generator, ddgan_generator_network({config.unet, config.mapping}));
  Network network = generator.among(std::move(both));
  ITO_TRY(network.check_size(input.height(), input.width()));
  const int side = std::min(input.height(), input.width());
  if (side >> config.discriminator_channels.size() < 1)
    return invalid_argument(
        "--discriminator-channels has {} levels, too many to halve images of "
        "size {}",
        config.discriminator_channels.size(), side);
  objective.ports = {.labels = input.classes > 0, .randomness = true};
  objective.loss = gan_loss(config, schedule, options.r1);
  objective.validation.why_not = "a GAN's loss says nothing of its samples";
  objective.pictures = {.sampler = "gan", .steps = options.gan_steps};
  return Trainee{.network = std::move(network), .objective = std::move(objective)};
}

}  // namespace ito
