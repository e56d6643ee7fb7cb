#include "diffusion/ddgan.h"

#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/posterior.h"
#include "diffusion/score.h"
#include "diffusion/sde.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kFirstTime = 1e-3;
constexpr int kMaxSteps = 1000;

// What one step of the chain needs per image, each [n, 1, ...].
struct Coefficients {
  Tensor previous_mean, previous_std;  // x_{t-1} given x_0
  Tensor step_mean, step_std;          // x_t given x_{t-1}
  Tensor posterior_x0, posterior_x, posterior_std;
};

Coefficients coefficients_of(const NoiseSchedule& schedule, Tensor timestep, int rank) {
  std::vector<double> table;
  for (int t = 0; t < schedule.num_timesteps(); ++t) {
    const Posterior step = posterior(schedule, t, t - 1);
    const double before = schedule.alpha_bar(t - 1);
    table.insert(table.end(),
                 {std::sqrt(before), std::sqrt(1 - before), std::sqrt(1 - step.beta),
                  std::sqrt(step.beta), step.on_x0, step.on_x, std::sqrt(step.variance)});
  }
  constexpr int64_t kColumns = 7;
  const Tensor rows = gather(
      constant(timestep.graph(), {schedule.num_timesteps(), kColumns}, std::move(table)), timestep);
  const auto column = [&](int64_t i) { return per_image(slice_axis(rows, 1, i, i + 1), rank); };
  return {column(0), column(1), column(2), column(3), column(4), column(5), column(6)};
}

Tensor first_images(Tensor x, int64_t count) {
  return count == x.dim(0) ? x : slice_axis(x, 0, 0, count);
}

}  // namespace

Result<SchedulerConfig> ddgan_scheduler(int steps, double beta_min, double beta_max) {
  if (steps < 1 || steps > kMaxSteps)
    return invalid_argument("steps is {}, expected 1 to {}", steps, kMaxSteps);
  Sde sde{.kind = Sde::Kind::kVp};
  sde.beta_min = beta_min;
  sde.beta_max = beta_max;
  ITO_TRY(check_sde(sde));
  SchedulerConfig config;
  config.num_train_timesteps = steps;
  config.prediction_type = "sample";
  config.variance_type = "fixed_small";
  config.clip_sample = false;
  std::vector<double> betas;
  double before = kFirstTime;
  for (int i = 1; i <= steps; ++i) {
    const double t = kFirstTime + (1 - kFirstTime) * i / steps;
    const double integral =
        beta_min * (t - before) + 0.5 * (beta_max - beta_min) * (t * t - before * before);
    betas.push_back(-std::expm1(-integral));
    before = t;
  }
  config.trained_betas = std::move(betas);
  return config;
}

DdganDraw draw_ddgan(const Shape& shape, int64_t latent, Tensor key, Tensor image, Tensor step,
                     const NoiseSchedule& schedule) {
  return {.timestep = random_index(key, image, step, kStreamTrainTimestep,
                                   static_cast<uint32_t>(schedule.num_timesteps())),
          .latent = random_normal({shape[0], latent}, key, image, step, kStreamTrainLatent),
          .previous = random_normal(shape, key, image, step, kStreamTrainNoise),
          .forward = random_normal(shape, key, image, step, kStreamTrainForward),
          .posterior = random_normal(shape, key, image, step, kStreamTrainPosterior)};
}

Tensor ddgan_latent(int64_t n, int64_t latent, Tensor key, Tensor image, Tensor step) {
  return random_normal({n, latent}, key, image, step, kStreamStepLatent);
}

DdganLoss ddgan_loss(Tensor x0, const DdganDraw& draw, const NoiseSchedule& schedule,
                     const DdganGenerator& generator, const DdganDiscriminator& discriminator,
                     const DdganDiscriminator& frozen, int64_t penalty_images) {
  CHECK(penalty_images >= 0 && penalty_images <= x0.dim(0),
        "ddgan: the penalty is computed on at most the whole batch");
  const Coefficients c = coefficients_of(schedule, draw.timestep, x0.rank());
  const Tensor t = cast(draw.timestep, DType::kF32);
  const Tensor real = c.previous_mean * x0 + c.previous_std * draw.previous;
  const Tensor x = c.step_mean * real + c.step_std * draw.forward;
  const Tensor made_x0 = generator(x, t, draw.latent);
  CHECK(made_x0.shape() == x0.shape(), "ddgan: the generator gives " + made_x0.shape().to_string() +
                                           ", expected " + x0.shape().to_string());
  const Tensor made =
      c.posterior_x0 * made_x0 + c.posterior_x * x + c.posterior_std * draw.posterior;

  DdganLoss loss;
  loss.discriminator = mean_all(softplus(-discriminator(real, x, t))) +
                       mean_all(softplus(discriminator(stop_gradient(made), x, t)));
  loss.generator = mean_all(softplus(-frozen(made, x, t)));
  if (penalty_images == 0) return loss;
  const Tensor some = first_images(real, penalty_images);
  const Tensor logits =
      discriminator(some, first_images(x, penalty_images), first_images(t, penalty_images));
  const Tensor slope = grad(sum_all(logits), {some})[0];
  loss.penalty = sum_all(square(slope)) * (0.5 / static_cast<double>(penalty_images));
  return loss;
}

}  // namespace ito
