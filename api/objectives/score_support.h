// What the objectives of score models share: the process, its network, times drawn in continuous
// time or on a ladder, projections, and the validation loss. Internal to this folder.
#pragma once

#include <functional>

#include "api/objectives/support.h"
#include "diffusion/score.h"
#include "diffusion/score_matching.h"
#include "diffusion/sde.h"

namespace ito {

// Times of a training are uniform in [kFirstTrainingTime, 1], or on the ladder. (Song et al. 2021
// train from 1e-5 on, whatever the process.)
inline constexpr double kFirstTrainingTime = 1e-5;

// A loss of a batch at times t and with noise, [].
using ScoreTrainingLoss = std::function<Tensor(
    Tensor x0, Tensor t, Tensor noise, const ScoreFunction& score, const Randomness& random)>;

struct ScoreTraining {
  SchedulerConfig scheduler;
  Sde sde;
  int64_t ladder = 0;  // levels of noise it is trained on; 0: all
  Network network;
  TrainedDenoiser denoiser;
  ContinuousLoss continuous;  // how times are drawn and weighted
  Objective objective;        // without a loss

  ObjectiveLoss loss(ScoreTrainingLoss each) const;
};

// The process that the options describe. For --sde ve with --sigma-max 0 the pixels are looked at.
Result<ScoreTraining> score_training(const TrainingInput& input);

// The vectors along which sliced objectives look at images of a shape [n, ...], as --projection and
// --projections have them: [m, n, ...]. Error: no such --projection.
using ProjectionDraw = std::function<Tensor(const Shape& shape, const Randomness& random)>;
Result<ProjectionDraw> projection_draw(const TrainingOptions& options);

}  // namespace ito
