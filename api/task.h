// TrainingTask: what TrainingSession is to train: a network, an objective, the step's options and
// the facts of a batch. Not the loop (api/training.h) and not the objectives (api/objectives.h).
#pragma once

#include <vector>

#include "api/objective.h"
#include "api/training_options.h"
#include "base/config.h"
#include "io/dataset.h"
#include "nn/network.h"
#include "nn/train_step.h"

namespace ito {

// Of a task's programs besides the state.
namespace batch_ports {
inline constexpr Port<float> kImages{"x0"};         // [n,h,w,c] in [-1, 1]
inline constexpr Port<uint32_t> kLabels{"labels"};  // [n]; only where the ports ask for labels
inline constexpr Port<float> kContext{"context"};   // [n, length, features]; likewise
// The same for the unconditional half of classifier-free guidance.
inline constexpr Port<float> kNoContext{"no_context"};
inline constexpr Port<uint32_t> kKey{"key"};  // [2], the seed; only where noise is drawn
// []: the place in the batch of a microbatch's first image; likewise.
inline constexpr Port<uint32_t> kFirstImage{"first_image"};
}  // namespace batch_ports

// Those inputs that `ports` ask for; no key.
Batch batch_inputs(Graph& graph, const BatchPorts& ports, const Shape& shape);

struct TrainingTask {
  Shape batch_shape;  // [n, h, w, c] of what is computed at once: a batch, or a microbatch
  int classes = 0;    // of the data's labels; 0: they are not used
  // What is trained, and what its parameters lie among (a GAN's discriminator): all of
  // network.set() is trained.
  Network network;
  Objective objective;
  LossFunction loss;  // the objective's, on batches of this shape
  TrainStepOptions step;

  std::vector<uint32_t> drawn_classes;  // those that have images, where classes are used
  bool flip = false;                    // every other image is shown mirrored
  // What training begins with, [network.set().size()]; empty: fresh weights.
  std::vector<float> initial_weights = {};

  int height() const { return static_cast<int>(batch_shape[1]); }
  int width() const { return static_cast<int>(batch_shape[2]); }
};

// The task that the options describe on this data set. Errors: options that do not fit the data
// (no labels for a classifier, images larger than --size), or an impossible network. For --sde ve
// with --sigma-max 0 the data set's pixels are looked at. `initial`: the model it starts from, of
// which options_of_model() made the options.
Result<TrainingTask> make_task(const TrainingOptions& options, const ImageDataset& data,
                               const InitialModel* initial = nullptr);

}  // namespace ito
