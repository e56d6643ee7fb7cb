// The variational bound of a discrete chain in bits per dimension, term by term, and the hybrid
// loss that trains a learned variance with it, as graph functions:
//   -log2 p(x_0)/D <= L_T + Σ_{t>=1} L_t + L_0 (Ho et al. 2020, eq. 5), where in the 0-based time
//   of this room L_T = KL(q(x_T|x_0) || N(0, I)), L_t = KL(q(x_{t-1}|x_t,x_0) || p(x_{t-1}|x_t))
//   for t >= 1, and L_0 = -log p(x_0|x_1) of a Gaussian that is integrated over the 256 bins of an
//   8-bit image (section 3.3).
// Not the exact likelihood of the probability flow (diffusion/likelihood.h).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "diffusion/loss.h"
#include "diffusion/posterior.h"

namespace ito {

// How the decoder's Gaussian is integrated over a bin.
enum class DecoderCdf : uint8_t {
  kTanh,  // ½(1 + tanh(√(2/π)(u + 0.044715 u³))), as published numbers of the bound have it
  kErf,   // exactly
};

// The rule of that name, "tanh" or "erf". Error: another name.
Result<DecoderCdf> decoder_cdf_from_name(const std::string& name);

// ln P(bin of x) for the Gaussian N(mean, exp(log_std)²) on values x in [-1, 1] that are bytes: the
// bin reaches 1/255 to both sides, those of -1 and 1 to infinity; not less than ln 1e-12. Equal
// shapes, nats per element. Its tails keep their digits in float32.
Tensor discretised_gaussian_log_likelihood(Tensor x, Tensor mean, Tensor log_std,
                                           DecoderCdf cdf = DecoderCdf::kTanh);

struct BoundOptions {
  Prediction prediction = Prediction::kEpsilon;
  VarianceType variance = VarianceType::kFixedSmall;
  bool clip = false;  // the predicted x_0 is clipped to ±clip_range
  double clip_range = 1;
  DecoderCdf cdf = DecoderCdf::kTanh;
  bool detach_mean = false;  // no gradient through the mean (Nichol & Dhariwal 2021, section 3.1)
};

struct BoundTerms {
  Tensor bits;           // f32 [n]: the term of each image's t, bits per dimension
  Tensor x0_error;       // f32 [n]: mean squared error of the predicted x_0 (clipped if so asked)
  Tensor squared_error;  // f32 [n]: mean squared error of the prediction itself
};

// The term at draw.timestep for images x0 [n, ..., c] in [-1, 1]. The denoiser gives x0's shape, or
// [n, ..., 2c] where the variance is learned. The variance of the last step, which is 0 for
// fixed_small, is that of the step before it (Ho et al. 2020's code, and Nichol & Dhariwal's).
BoundTerms bound_terms(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                       const Denoiser& denoiser, const BoundOptions& options);

// L_T: KL(q(x_T | x_0) || N(0, I)) of each image, f32 [n], bits per dimension.
Tensor bound_prior(Tensor x0, const NoiseSchedule& schedule);

// Of a batch: what is minimised.
struct BoundLoss {
  Tensor loss;       // f32 []: mean of per_image
  Tensor per_image;  // f32 [n]
};

// L_hybrid = L_simple + λ L_vlb (Nichol & Dhariwal 2021, eq. 16) with the bound's mean detached and
// nothing clipped. options.variance must be learned; options.detach_mean is set.
BoundLoss hybrid_loss(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                      const Denoiser& denoiser, BoundOptions options, double lambda);

// L_vlb: T times the bound's term at a t that was drawn uniformly, whose expectation is the whole
// bound but for the constant L_T, in bits per dimension.
BoundLoss bound_loss(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                     const Denoiser& denoiser, const BoundOptions& options);

}  // namespace ito
