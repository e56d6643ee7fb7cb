// Interpolation between two images through a diffusion model: both are encoded, what lies between
// is decoded. Methods are rows. Not for mixing classes or models.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/model.h"
#include "base/registry.h"
#include "diffusion/ode.h"
#include "runtime/executor.h"

namespace ito {

using InterpolationProgress = std::function<bool(int done, int in_all)>;

struct InterpolationOptions {
  std::string method = "latent";  // a row of interpolation_rows()
  int steps = 50;                 // of the sampler over all timesteps
  OdeOptions ode = {};
  double strength = 0.5;  // share of the steps that are run. Above 0, at most 1
  int points = 9;         // images, the ends' reconstructions included; at least 2
  uint32_t seed = 0;      // of the noise that all images share
  uint32_t label = 0;     // class; not used by a model without classes
};

class Interpolation;

struct InterpolationRow {
  Name name;
  std::string_view options;  // of InterpolationOptions that it looks at, by spaces
  // The points [points, h, w, c] between a and b [h, w, c].
  Result<std::vector<float>> (*between)(Interpolation& work, const std::vector<float>& a,
                                        const std::vector<float>& b);
};
std::span<const InterpolationRow> interpolation_rows();
// Whether the method looks at an option; unknown methods at none.
bool interpolation_uses(const std::string& method, std::string_view option);

// Points on the great circle between a and b, of evenly spaced angles, with lengths in between as
// well: sin((1-λ)θ)/sin θ a + sin(λθ)/sin θ b (Shoemake 1985). Linear where a and b are parallel.
std::vector<float> slerp(const std::vector<float>& a, const std::vector<float>& b, double lambda);

// a, b: [h, w, c] in [-1, 1] → [points, h, w, c]. Models of every process: what samples a discrete
// chain sees them as one (diffusion/diffusion_model.h). progress (may be empty) is told the steps
// submitted so far and those in all (0 where nobody knows); false stops with kInterrupted.
// Errors: an option by name; what the model's schedule or network does not allow; a model that has
// no score; a model's output or a sample that is not finite, naming the step.
Result<std::vector<float>> interpolate(vk::Device& device, const Model& model, const Shape& image,
                                       const std::vector<float>& a, const std::vector<float>& b,
                                       const InterpolationOptions& options,
                                       const InterpolationProgress& progress = {});

}  // namespace ito
