// What the objectives of a discrete chain share: schedule, network, timesteps drawn uniformly or by
// importance, and the validation loss. Internal to this folder.
#pragma once

#include <functional>
#include <string>

#include "api/objectives/support.h"
#include "diffusion/loss.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"

namespace ito {

// A loss of each image, f32 [n], at a timestep and noise.
using ChainLoss = std::function<Tensor(Tensor x0, const TrainingDraw& draw,
                                       const NoiseSchedule& schedule, const Denoiser& network)>;

struct ChainTraining {
  SchedulerConfig scheduler;
  NoiseSchedule schedule;
  Prediction prediction = Prediction::kEpsilon;
  Network network;
  TrainedDenoiser denoiser;
  BatchPorts ports;
  bool importance = false;  // timesteps by the loss's second moment

  // The mean of `each` over a batch, timesteps drawn as the options say and weighed accordingly.
  ObjectiveLoss loss(ChainLoss each) const;
};

// The chain that the options describe, with --zero-snr. `learned`: the network gives a variance
// too, of the kind learned_range, which the scheduler then says.
Result<ChainTraining> chain_training(const TrainingInput& input, bool learned = false);

// An objective on it, without a loss: what it saves, how its samples are drawn, and as validation
// the mean squared error of the prediction, unweighted.
Objective chain_objective(const ChainTraining& chain);

}  // namespace ito
