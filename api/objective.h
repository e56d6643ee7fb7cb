// Objective: everything that a training minimises and says of itself, as one value: how timestep
// and noise are drawn, the loss on a batch, what it carries from batch to batch, how held-out
// images judge it, how its samples are drawn, and the scheduler configuration it saves. Sessions
// see this and never a family. Not the network (nn/network.h), not which objectives there are
// (api/objectives.h) and not the mathematics (diffusion/).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/device_weights.h"
#include "base/config.h"
#include "io/dataset.h"
#include "io/json.h"
#include "nn/network.h"
#include "nn/train_step.h"
#include "runtime/vk/device.h"

namespace ito {

struct TrainingTask;  // api/task.h

// What a batch must hold for an objective, besides images.
struct BatchPorts {
  bool labels = false;      // the class of each image
  bool randomness = false;  // the key of the random numbers it draws
};

// The tensors of one batch in a graph: those that the ports ask for.
struct Batch {
  Tensor images;       // f32 [n,h,w,c] in [-1, 1]
  Tensor labels = {};  // u32 [n]
};

// The loss of one batch, a scalar, and what the objective's own state is then. The parameters'
// scope draws by `random`, which has a key only with the port.
using ObjectiveLoss = std::function<LossResult(const Scope& parameters, const Batch& batch,
                                               const Randomness& random)>;

// What held-out images say of the weights.
struct Judgement {
  double value = 0;
  std::string metric;  // what the value is: its key in the row
  Json row;            // for metrics.jsonl, without the step
  std::string text;    // one line: "validation loss 0.1234"
};
class Validator {
 public:
  virtual ~Validator() = default;
  // Waits for all work on the device. The same draws every time.
  virtual Result<Judgement> measure() = 0;
  virtual int64_t images() const = 0;
};
// `task`, `data` must outlive the validator. weights: the task's network's, cut for the device,
// read at each measure(). Errors: images that do not fit the task, device.
using MakeValidator = std::function<Result<std::unique_ptr<Validator>>(
    vk::Device& device, const TrainingTask& task, const ImageDataset& data,
    const DeviceWeights& weights)>;

struct Validation {
  MakeValidator make = {};   // empty: held-out images say nothing, because
  std::string why_not = {};  //   "a GAN's loss says nothing of its samples"
  bool at_the_end = false;   // measured at the end of every run, asked for or not
};

// How a run draws pictures of what it has learned; an empty sampler: it draws none.
struct Pictures {
  std::string sampler = {};
  int steps = 0;  // 0: the sampler's own number
};

struct Objective {
  std::string_view name;      // of its row in api/objectives.h
  SchedulerConfig scheduler;  // what it saves
  BatchPorts ports;
  ObjectiveLoss loss;
  std::vector<StateTensor> state = {};  // what the loss carries from batch to batch
  Validation validation = {};
  Pictures pictures = {};
  std::vector<std::string> notes = {};  // what was measured or chosen, to be said once
};

// The objective's loss on batches of this shape as the training step takes it: adds the inputs of
// api/task.h's batch_ports that the ports ask for. `part`: of a part of a batch, whose place the
// programs are told.
LossFunction batch_loss(const Objective& objective, const Shape& shape, bool part = false);

}  // namespace ito
