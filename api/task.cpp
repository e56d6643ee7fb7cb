#include "api/task.h"

#include <algorithm>
#include <utility>

#include "api/initial_model.h"
#include "api/objectives.h"
#include "base/error.h"
#include "base/name_list.h"
#include "base/name_pattern.h"
#include "io/class_names.h"

namespace ito {
namespace {

// Images that fit into what a model was trained on are padded to that, unless --size says more.
std::array<int, 2> image_size(const TrainingOptions& options, const ImageDataset& data,
                              const InitialModel* initial) {
  if (initial != nullptr && options.size == TrainingOptions().size) {
    const auto size = initial->model.network.signature().sample_size;
    if (size && data.h <= (*size)[0] && data.w <= (*size)[1]) return *size;
  }
  return padded_size(options, data.h, data.w);
}

Result<Network> with_frozen(const Network& network, const std::vector<std::string>& patterns) {
  std::vector<std::string> names;
  for (const Parameter& parameter : network.set().parameters()) names.push_back(parameter.name);
  for (const std::string& pattern : patterns) {
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return matches_pattern(pattern, name); }))
      continue;
    return invalid_argument("--freeze {} matches no tensor; near it are {}", pattern,
                            joined(near_patterns(pattern, names, 3)));
  }
  Network frozen = network.with_frozen([&](std::string_view name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return matches_pattern(pattern, name); });
  });
  if (frozen.set().trainable_size() == 0)
    return invalid_argument("--freeze leaves no tensor to train");
  return frozen;
}

}  // namespace

Result<TrainingTask> make_task(const TrainingOptions& given, const ImageDataset& data,
                               const InitialModel* initial) {
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(given));
  const TrainingOptions options = with_preset(*row, given);
  TrainingTask task;
  const auto [h, w] = image_size(options, data, initial);
  if (data.h > h || data.w > w)
    return invalid_argument(
        "--size is {}, but the images are {}x{} (width x height); --resize makes them smaller",
        options.size, data.w, data.h);
  task.batch_shape = {options.microbatch > 0 ? options.microbatch : options.batch, h, w, data.c};
  task.flip = options.flip;
  ITO_ASSIGN(task.step, step_options(options));
  if (options.classes) task.classes = data.num_classes();
  ITO_ASSIGN(Trainee trainee, row->make({.options = options,
                                         .data = data,
                                         .batch_shape = task.batch_shape,
                                         .classes = task.classes,
                                         .initial = initial}));
  task.network = std::move(trainee.network);
  task.objective = std::move(trainee.objective);
  task.objective.name = row->name.name;
  if (!options.freeze.empty()) {
    ITO_ASSIGN(task.network, with_frozen(task.network, options.freeze));
  }
  if (initial != nullptr && !initial->model.weights.empty()) {
    ITO_ASSIGN(task.initial_weights, initial_weights(*initial, task.network, class_names(data),
                                                     options.seed, task.objective.notes));
  }
  if (!task.objective.ports.labels) task.classes = 0;
  const std::vector<int64_t> counts = data.class_counts();
  for (size_t k = 0; k < counts.size() && task.classes > 0; ++k)
    if (counts[k] > 0) task.drawn_classes.push_back(static_cast<uint32_t>(k));
  task.step.loss_state = task.objective.state;
  if (task.step.microbatches > 0 && !task.objective.state.empty())
    return unsupported(
        "this objective carries losses from batch to batch, which the parts of a batch do not "
        "share: it takes no --microbatch and one rank; leave out the option that asks for it "
        "(--loss-weight importance, say), or train on one device");
  task.loss = batch_loss(task.objective, task.batch_shape, task.step.microbatches > 0);
  return task;
}

}  // namespace ito
