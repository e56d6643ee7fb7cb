// Denoising diffusion GAN (Xiao, Kreis and Vahdat 2022): few large noising steps, whose reverse,
// no longer Gaussian, is given by a generator x_0 = G(x_t, z, t) with a latent z and learned
// against a discriminator D(x_{t-1}, x_t, t). Here are the chain and the losses; networks are
// given as functions. Sampling needs nothing of its own: it is DDPM's ancestral sampler (ddpm.h) on
// ddgan_scheduler() with a denoiser that draws its latent (ddgan_latent).
#pragma once

#include <cstdint>
#include <functional>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/denoiser.h"
#include "diffusion/schedule.h"

namespace ito {

// The chain of `steps` steps whose marginals are those of the VP SDE at `steps` equally spaced
// times: β_i = 1 - exp(-(β_min h + (β_max - β_min)(t_i² - t_{i-1}²)/2)), t_i = 1e-3 + (1 - 1e-3)
// i/steps, h = t_i - t_{i-1} (section 5 and appendix C of the paper; as its code spaces the times).
// A config of the discrete chain: prediction_type "sample", trained_betas, variance fixed_small.
// Errors: steps outside [1, 1000], betas that check_sde would refuse.
Result<SchedulerConfig> ddgan_scheduler(int steps, double beta_min = 0.1, double beta_max = 20);

// (x_t [n,h,w,c], t f32 [n], z f32 [n, latent]) → x_0 [n,h,w,c].
using DdganGenerator = std::function<Tensor(Tensor x, Tensor t, Tensor z)>;
// (x_{t-1}, x_t [n,h,w,c], t f32 [n]) → logits [n], large for real.
using DdganDiscriminator = std::function<Tensor(Tensor previous, Tensor x, Tensor t)>;

// The random numbers of one batch; key u32 [2], image u32 [n] and step u32 [] as in draw_training.
struct DdganDraw {
  Tensor timestep;   // u32 [n], in [0, steps)
  Tensor latent;     // f32 [n, latent]
  Tensor previous;   // f32, x_0's shape: noise of x_{t-1}
  Tensor forward;    // noise of the step from x_{t-1} to x_t
  Tensor posterior;  // noise of the generated x_{t-1}
};
DdganDraw draw_ddgan(const Shape& shape, int64_t latent, Tensor key, Tensor image, Tensor step,
                     const NoiseSchedule& schedule);
// z of a sampling step: f32 [n, latent].
Tensor ddgan_latent(int64_t n, int64_t latent, Tensor key, Tensor image, Tensor step);

struct DdganLoss {
  // All f32 [], means over the batch (Goodfellow et al. 2014's non-saturating form):
  Tensor discriminator;  // softplus(-D(real)) + softplus(D(generated)); the generator is fixed
  Tensor generator;      // softplus(-D(generated)); to be differentiated in the generator only
  Tensor penalty;  // R1: ½ ‖∇ D‖² with respect to the real x_{t-1} (Mescheder et al. 2018)
};

// The three losses on real images x0 [n,h,w,c]. `frozen` is the discriminator on weights that no
// gradient reaches (stop_gradient): the generator's loss goes through it. So the sum
// discriminator + generator + weight · penalty has, for each network's weights, the gradient of
// that network's own loss, and one optimiser may train both at once.
// penalty_images: how many images of the batch (the first) the penalty is computed on, at most n;
// 0: no penalty (empty).
DdganLoss ddgan_loss(Tensor x0, const DdganDraw& draw, const NoiseSchedule& schedule,
                     const DdganGenerator& generator, const DdganDiscriminator& discriminator,
                     const DdganDiscriminator& frozen, int64_t penalty_images);

}  // namespace ito
