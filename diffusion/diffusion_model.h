// DiffusionModel: a network on the noising process that it was trained on, and the model seen on
// another process: what makes samplers and models a product. Every conversion is exact, because all
// processes here add Gaussian noise to a scaled image, so that the ratio of noise to signal alone
// says how noisy an image is; a model seen elsewhere is asked where its own process has that ratio.
// Not for networks' parameters and inputs (they are in the closure), nor for samplers.
#pragma once

#include <functional>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/denoiser.h"
#include "diffusion/guidance.h"
#include "diffusion/marginal.h"
#include "diffusion/probability_flow.h"
#include "diffusion/score_model.h"

namespace ito {

struct DiffusionModel {
  SchedulerConfig config;  // the process, and what the output means
  // What the config's process gives and takes: the network itself.
  Denoiser network;
  NoiseInput input = NoiseInput::kTimestep;  // how a score network is told the time
  bool generator = false;   // x_0 is generated from a latent: no prediction, and no score
  int output_multiple = 1;  // channels of the output per channel of x: 2 with a learned variance
  // Steers to log p(y | x_t), which is asked in the coordinates of whatever process the model is
  // seen on; may be empty.
  std::function<LogProbability(MarginalFunction)> guidance = {};
  double guidance_scale = 1;
};

// Error kUnsupported of a generator, which has neither a score nor a density.
Status check_density(bool generator);

// The model as a score: of its own SDE, or, of a discrete chain or straight paths, of the VP SDE
// with β from 0.1 to 20. Guided where the model is. clip: estimates of x_0 of a discrete chain are
// kept within the config's clip_sample_range, if it says clip_sample. Errors: a network that the
// process cannot have; a consistency model, which has no score.
Result<ScoreModel> model_score(const DiffusionModel& model, bool clip = true);

// The model as one of `process`, whose config (with the samplers' own keys) and network a solver of
// that process takes. The same model if it is of that process already. Seen on another: kDiscrete
// as a chain of 1000 timesteps that predicts ε; kEdm with σ_data 0.5 as F; kFlow as the velocity.
// Errors: as model_score; kVe, kVp, kSubVp and kConsistency are of networks trained on them only.
Result<DiffusionModel> as_process(const DiffusionModel& model, ProcessKind process);

// The network as a solver of the model's own process asks it, guided where the model is.
// Errors: a schedule or prediction that the config does not describe.
Result<Denoiser> native_network(const DiffusionModel& model);

// The flow whose density is the model's: of score models from where sampling ends to the SDE's end;
// models of a discrete chain in their own log-SNR, from timestep 0 on, nothing clipped. Errors: as
// model_score.
Result<ProbabilityFlow> density_flow(const DiffusionModel& model);

}  // namespace ito
