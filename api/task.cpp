#include "api/task.h"

#include <utility>

#include "api/objectives.h"
#include "base/error.h"

namespace ito {
Result<TrainingTask> make_task(const TrainingOptions& given, const ImageDataset& data) {
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(given));
  const TrainingOptions options = with_preset(*row, given);
  TrainingTask task;
  const int size = padded_size(options, data.h, data.w);
  if (data.h > size || data.w > size)
    return invalid_argument("--size is {}, but the images are {}x{}", size, data.h, data.w);
  task.batch_shape = {options.batch, size, size, data.c};
  ITO_ASSIGN(task.step, step_options(options));
  if (options.classes) task.classes = data.num_classes();
  ITO_ASSIGN(Trainee trainee, row->make({.options = options,
                                         .data = data,
                                         .batch_shape = task.batch_shape,
                                         .classes = task.classes}));
  task.network = std::move(trainee.network);
  task.objective = std::move(trainee.objective);
  task.objective.name = row->name.name;
  if (!task.objective.ports.labels) task.classes = 0;
  task.step.loss_state = task.objective.state;
  task.loss = batch_loss(task.objective, task.batch_shape);
  return task;
}

}  // namespace ito
