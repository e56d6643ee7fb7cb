// What a training writes: its averaged weights as a model folder. Not the checkpoints
// (io/checkpoint.h) and not what else a run's folder holds (api/training_run.h).
#pragma once

#include <functional>

#include "api/device_weights.h"
#include "api/initial_model.h"
#include "api/task.h"
#include "io/class_names.h"
#include "io/file.h"

namespace ito {

// The task's network with the average of each decay that its optimiser has (the weights themselves
// where it has none), the first as the model's own, with what the model that the training started
// from (may be null) had besides, and what the classes are called. Reads the weights from the
// device, which waits. Errors: kIo naming the file; of the device.
Status export_trained(const Path& folder, const TrainingTask& task, const InitialModel* initial,
                      const std::function<DeviceWeights(size_t average)>& weights,
                      const ClassNames& classes);

}  // namespace ito
