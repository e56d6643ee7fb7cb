// The simple training objective and its weighted forms as graph functions:
// E over t, x_0, ε of w(t) mean((network(x_t, t) - target)²), x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε
// (L_simple: Ho et al. 2020, eq. 14), or of another error than the square. Not the variational
// bound in bits/dim.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "diffusion/denoiser.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"

namespace ito {

// w(t), stated for the squared error of ε; for a network that predicts x_0, v or the score the same
// weighting of the same quantity is used: squared errors of x_0, v and score are those of ε divided
// by SNR, SNR/(SNR+1) and 1-ᾱ.
enum class LossWeight : uint8_t {
  kNone,    // 1, whatever is predicted (for epsilon this is L_simple)
  kMinSnr,  // min(SNR, γ)/SNR (Hang et al. 2023)
  kP2,      // 1/(k + SNR)^γ (Choi et al. 2022)
  kElbo,    // β_t²/(2 σ_t² α_t (1-ᾱ_t)) (Ho et al. 2020, eq. 12)
};
// "none", "min_snr", "p2", "elbo".
Result<LossWeight> loss_weight_from_name(const std::string& name);

// What an output costs that differs from its target, number by number: difference [n, ...],
// timestep u32 [n] → difference's shape.
using DenoisingError = std::function<Tensor(Tensor difference, Tensor timestep)>;

struct LossOptions {
  Prediction prediction = Prediction::kEpsilon;
  LossWeight weight = LossWeight::kNone;
  double min_snr_gamma = 5;
  double p2_k = 1;
  double p2_gamma = 1;
  bool elbo_small_variance = false;  // σ_t² = β̃_t, with β̃_0 replaced by β̃_1; else σ_t² = β_t
  DenoisingError error = {};         // empty: the square
};

// w(t) of every timestep for the squared error of options.prediction.
std::vector<double> loss_weights(const NoiseSchedule& schedule, const LossOptions& options);

// One example: which t, which ε.
struct TrainingDraw {
  Tensor timestep;  // u32 [n], in [0, T)
  Tensor noise;     // f32, x_0's shape
};

// t uniform over the schedule's timesteps and ε standard normal, from key u32 [2], image u32 [n]
// (the place of each example in the whole batch, so that a split batch draws the same) and step u32
// [] (the training step).
// The schedule may have at most 65536 timesteps (a limit of random_index).
TrainingDraw draw_training(const Shape& shape, Tensor key, Tensor image, Tensor step,
                           const NoiseSchedule& schedule);

struct TrainingLoss {
  Tensor loss;       // f32 []: mean of per_image, that is, over everything
  Tensor per_image;  // f32 [n]: w(t) times the mean error of the image
  Tensor x_t;        // what the network was given
  Tensor target;     // what it should have given
};

// The loss of `denoiser` on x0 [n,h,w,c] with the given draw. Differentiable in whatever the
// denoiser closes over. The denoiser must give x0's shape.
TrainingLoss denoising_loss(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                            const Denoiser& denoiser, const LossOptions& options = {});

}  // namespace ito
