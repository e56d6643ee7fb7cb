// Interpolation between two images through a diffusion model: both are encoded, what lies between
// is decoded. Not for mixing classes or models.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/model.h"
#include "diffusion/ode.h"
#include "runtime/executor.h"

namespace ito {

using InterpolationProgress = std::function<bool(int done, int in_all)>;

struct InterpolationOptions {
  // "noise": both images get the same noise √(1-ᾱ_t) ε, the noisy images are mixed linearly and
  //   decoded by DDPM from t on, with the same noise for all (Ho et al. 2020, section 4.3).
  // "latent": both are encoded by inverted DDIM, their latents mixed on the great circle between
  //   them, and decoded by DDIM (Song et al. 2021, Denoising Diffusion Implicit Models,
  //   section 5.3).
  // "flow": the same with the probability flow in place of DDIM, by an adaptive Runge-Kutta method
  //   (Song et al. 2021, Score-Based Generative Modeling through SDEs, section 4.3). For every
  //   model that has a score; a discrete chain is followed in its log-SNR
  //   (diffusion/probability_flow.h).
  std::string method = "latent";
  int steps = 50;         // noise, latent: of the sampler over all timesteps
  OdeOptions ode = {};    // flow
  double strength = 0.5;  // noise: share of the steps that are run; t is the first of these. Above
                          // 0, at most 1
  int points = 9;         // images, the ends' reconstructions included; at least 2
  uint32_t seed = 0;      // noise
  uint32_t label = 0;     // class; not used by a model without classes
};

// Points on the great circle between a and b, of evenly spaced angles, with lengths in between as
// well: sin((1-λ)θ)/sin θ a + sin(λθ)/sin θ b (Shoemake 1985). Linear where a and b are parallel.
std::vector<float> slerp(const std::vector<float>& a, const std::vector<float>& b, double lambda);

// a, b: [h, w, c] in [-1, 1] → [points, h, w, c]. progress (may be empty) is told the steps
// submitted so far and those in all (0 where nobody knows: flow); false stops with kInterrupted.
// Errors: an option by name; what the model's schedule or network does not allow; a model of no
// discrete chain for noise and latent; a model's output or a sample that is not finite, naming the
// step.
Result<std::vector<float>> interpolate(vk::Device& device, const Model& model, const Shape& image,
                                       const std::vector<float>& a, const std::vector<float>& b,
                                       const InterpolationOptions& options,
                                       const InterpolationProgress& progress = {});

}  // namespace ito
