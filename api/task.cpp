#include "api/task.h"

#include <utility>

#include "api/objectives.h"
#include "base/error.h"

namespace ito {
Result<TrainingTask> make_task(const TrainingOptions& given, const ImageDataset& data) {
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(given));
  const TrainingOptions options = with_preset(*row, given);
  TrainingTask task;
  const auto [h, w] = padded_size(options, data.h, data.w);
  if (data.h > h || data.w > w)
    return invalid_argument(
        "--size is {}, but the images are {}x{} (width x height); --resize makes them smaller",
        options.size, data.w, data.h);
  task.batch_shape = {options.batch, h, w, data.c};
  task.flip = options.flip;
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
  const std::vector<int64_t> counts = data.class_counts();
  for (size_t k = 0; k < counts.size() && task.classes > 0; ++k)
    if (counts[k] > 0) task.drawn_classes.push_back(static_cast<uint32_t>(k));
  task.step.loss_state = task.objective.state;
  task.loss = batch_loss(task.objective, task.batch_shape);
  return task;
}

}  // namespace ito
