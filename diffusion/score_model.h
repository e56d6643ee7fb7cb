// Score models as files describe them: which SDE a scheduler config stands for, and how the output
// of a network becomes the score. Not the objectives and not the samplers, which see an Sde and a
// ScoreFunction only.
#pragma once

#include <cstdint>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/denoiser.h"
#include "diffusion/edm.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"
#include "diffusion/score.h"
#include "diffusion/sde.h"

namespace ito {

// How a network is told the noise level at time t, and what its output means.
enum class NoiseInput : uint8_t {
  // (num_train_timesteps - 1) t; the output predicts the noise ε, so the score is -output/std(t).
  kTimestep,
  // std(t); the output is the score.
  kSigma,
};

// `timestep` or `sigma`, whichever the network is told.
template <typename T>
T by_noise_input(NoiseInput input, T timestep, T sigma) {
  return input == NoiseInput::kTimestep ? timestep : sigma;
}
// Error kUnsupported, which says `message`, where the network is told something else.
Status check_noise_input(NoiseInput input, NoiseInput expected, const char* message);

// All that samplers need of a model.
struct ScoreModel {
  Sde sde;
  ScoreFunction score;  // in the time of sde
  double end = 0;       // the time at which its sampling ends by default; 0: it does not say

  double ends_at() const { return end > 0 ? end : sde.start(); }
};

// The SDE of a ScoreSdeVe-, ScoreSdeVp-, ScoreSdeSubVp- or EDM scheduler. Errors: a config of
// another class, values that check_sde refuses; of EDM a sigma_data that is not above 0, or a
// prediction_type other than epsilon (the network is F) or v_prediction (it is -F).
Result<Sde> scheduler_sde(const SchedulerConfig& config);

// The time at which sampling ends by default: sampling_eps, EDM's sigma_min. CHECK: scheduler_sde
// succeeds.
double sampling_end(const SchedulerConfig& config);

// 1 or -1: what a network of an EDM scheduler gives is this times F. Error kUnsupported: a
// prediction_type other than epsilon and v_prediction.
Result<double> edm_output_sign(const SchedulerConfig& config);

// D(x; σ) of a network F(c_in x; c_noise) that was trained with an EDM scheduler's config, for
// which scheduler_sde must have succeeded.
EdmDenoiser scheduler_denoiser(Denoiser network, const SchedulerConfig& config);

// The score of a network that was trained on scheduler_sde(config), which must have succeeded.
// EDM's is told c_noise, whatever `input` says.
ScoreFunction network_score(Denoiser network, NoiseInput input, const SchedulerConfig& config);

// A model trained on a discrete variance-preserving chain, seen as one of the VP SDE with β from
// 0.1 to 20: at time t it is asked at the timestep of the same signal-to-noise ratio (linear in the
// log-SNR between timesteps). Exact, because both processes mix image and noise with squared
// weights that sum to one, so that the ratio alone says how noisy an image is.
// Errors: as of probability_flow for a chain.
Result<ScoreModel> chain_score(const NoiseSchedule& schedule, Prediction prediction,
                               Denoiser denoiser);

// The score whose estimate of the clean image, (x + std² s)/mean, lies within ±range: what
// `clip_sample` does to the steps of a discrete chain. Where no estimate lies beyond, it is
// `score`.
ScoreFunction clipped_score(const Sde& sde, ScoreFunction score, double range);

// A model seen in EDM's coordinates, x/mean(t) with the time σ = std(t)/mean(t) (Karras et al.
// 2022, eq. 4): the Sde is kEdm with σ from that of `end_time` up to that of the model's end, and ∇
// ln p(x/mean; σ) = mean ∇ ln p_t(x). Exact for every SDE; images at σ = 0 are images. Errors:
// end_time not above 0 and below the SDE's end.
Result<ScoreModel> edm_coordinates(const ScoreModel& model, double end_time);

// edm_coordinates of a model whose process scales the image; a model that only adds noise to it, as
// it is. Errors: as of edm_coordinates.
Result<ScoreModel> noise_coordinates(const ScoreModel& model, double end_time);

// Time of level i of a ladder of L >= 2 noise levels in geometric progression, level 0 the
// smallest: i/(L-1), where VE's std is sigma_min (sigma_max/sigma_min)^t (Song and Ermon 2019,
// section 4.2).
Tensor ladder_time(Tensor level, int64_t levels);

}  // namespace ito
