// Interpolation between two images through a diffusion model of a discrete chain: both are encoded,
// what lies between is decoded. Not for mixing classes or models.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/model.h"
#include "runtime/executor.h"

namespace ito {

struct InterpolationOptions {
  // "noise": both images get the same noise √(1-ᾱ_t) ε, the noisy images are mixed linearly and
  //   decoded by DDPM from t on, with the same noise for all (Ho et al. 2020, section 4.3).
  // "latent": both are encoded by inverted DDIM, their latents mixed on the great circle between
  //   them, and decoded by DDIM (Song et al. 2021, Denoising Diffusion Implicit Models,
  //   section 5.3).
  std::string method = "latent";
  int steps = 50;         // of the sampler over all timesteps
  double strength = 0.5;  // noise: share of the steps that are run; t is the first of these. Above
                          // 0, at most 1
  int points = 9;         // images, the ends' reconstructions included; at least 2
  uint32_t seed = 0;      // noise
  uint32_t label = 0;     // class; not used by a model without classes
};

// Points on the great circle between a and b, of evenly spaced angles, with lengths in between as
// well: sin((1-λ)θ)/sin θ a + sin(λθ)/sin θ b (Shoemake 1985). Linear where a and b are parallel.
std::vector<float> slerp(const std::vector<float>& a, const std::vector<float>& b, double lambda);

// a, b: [h, w, c] in [-1, 1] → [points, h, w, c]. progress (may be empty) is told steps done and in
// all. Errors: an option by name; what the model's schedule or network does not allow; a model that
// is of no discrete chain.
Result<std::vector<float>> interpolate(vk::Device& device, const Model& model, const Shape& image,
                                       const std::vector<float>& a, const std::vector<float>& b,
                                       const InterpolationOptions& options,
                                       const std::function<void(int, int)>& progress = {});

}  // namespace ito
