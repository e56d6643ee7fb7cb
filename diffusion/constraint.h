// Constraint: what every sample has to agree with while it is drawn, as a change of x before each
// move of any sampler, on the device. The one here imposes a measurement y = A x + n: in the
// coordinates of A's singular vectors the observed coefficients are replaced by the observation,
// noised to the level of x (Song & Ermon 2019, algorithm 2; Song et al. 2021, appendix I.2; for
// noisy observations Kawar et al. 2022, eqs. 7 and 8 with η = η_b = 1).
// The result is not exactly p(x | y): what is drawn of the unobserved part at one level does not
// feel the observation's future noise. Corrector moves between steps remove that error, as the
// inverse of their number: tests/diffusion/inpainting_test.cpp measures it.
// Not guidance by ∇ log p(y | x_t) (diffusion/guidance.h).
#pragma once

#include <functional>
#include <vector>

#include "diffusion/marginal.h"
#include "diffusion/measurement.h"
#include "graph/port.h"
#include "graph/program.h"

namespace ito {

// Of programs with a measurement's constraint.
namespace constraint_ports {
// Inputs [1,h,w,c]: the observed coefficients S⁺ Uᵀ y, and the deviation of each one's noise.
inline constexpr Port<float> kObserved{"observed"};
inline constexpr Port<float> kObservedStd{"observed_std"};
// Of observation_program: the observation [1, observation...].
inline constexpr Port<float> kObservation{"observation"};
}  // namespace constraint_ports

// Of programs that are told a picture of which parts are known.
namespace masked_ports {
inline constexpr Port<float> kPicture{"picture"};  // input [1,h,w,c]
inline constexpr Port<float> kMask{"mask"};        // input [1,h,w,1]
}  // namespace masked_ports

struct Constraint {
  // x [n, ...] at the noise level of each image (f32 [n]) with a fresh standard normal of x's shape
  // → x that agrees. At mean 1 and std 0 the result agrees with the observation itself.
  std::function<Tensor(Tensor x, const Marginal& level, Tensor noise)> project;
  // Optional: a Langevin move of step size ε, `moved` = x + ε score + √(2ε) z, as it would have
  // been with the score of p(x_t | y). size (ε) broadcasts against x.
  std::function<Tensor(Tensor x, Tensor moved, Tensor size, const Marginal& level)> settle;
  // What is done to x after the last step has agreed; may be empty.
  std::function<Tensor(Tensor x)> finish;
  // The level of x at the time t that a step gives to the network.
  MarginalFunction marginal;

  explicit operator bool() const { return static_cast<bool>(project); }
};

// A coefficient whose observation has deviation τ = σ/s_i is replaced by
// mean ȳ + √(std² - mean² τ²) z while std >= mean τ, and left to the sampler below. There x_t lies
// between x_0 and y: ȳ - x_t/mean ~ N(0, τ² - std²/mean²) given x_t, which predictors (y being of
// their past) need not know, but Langevin moves would forget: `settle` adds that Gaussian's score,
// by the Crank-Nicolson rule, which keeps the Gaussian for any ε.
Constraint measurement_constraint(Measurement measurement, MarginalFunction marginal);

// x after step `step` (u32 []) of `steps`: as it is, but after the last one agreeing with the
// observation itself. `noise` is not used at that level, but must be finite.
Tensor constrain_last(const Constraint& constraint, Tensor x, Tensor step, int64_t steps,
                      Tensor noise);

// x [n,h,w,3] with colours beyond [-1, 1] moved towards the grey of the same (R+G+B)/3 until every
// channel is within it; a grey beyond is left as it is. What Constraint::finish is for images of an
// observed luminance, which writing as bytes would change otherwise.
Tensor colours_in_range(Tensor x);

// Values of kObservedStd for noise of deviation noise_std: σ/|s_i|, and a number beyond any noise
// level where nothing is observed. Errors: a deviation that is negative or not finite.
Result<std::vector<float>> observed_std(const Measurement& measurement, double noise_std);

// Sets the state kObserved from the input kObservation.
Program observation_program(const Measurement& measurement);

// The inputs of masked_ports for samples `shape` [n,h,w,c], and where the mask is at least
// `threshold` (bool [1,h,w,1]): there the picture is known.
struct MaskedInputs {
  Tensor picture, known;
};
MaskedInputs masked_inputs(Graph& graph, const Shape& shape, double threshold);

// Inpainting with a mask that is told as the picture is: gives kObserved and kObservedStd of a
// Measurement::mask that observes what is known, without noise.
Program masked_observation_program(const Shape& shape, double threshold);

}  // namespace ito
