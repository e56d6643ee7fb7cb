#include "api/trained_model.h"

#include <fmt/format.h>

#include <span>
#include <string>

#include "api/model.h"
#include "base/error.h"

namespace ito {
namespace {

std::string decay_text(const Optimizer& optimizer, size_t i) {
  return fmt::format("{}", optimizer.average_at(i).decay);
}

}  // namespace

Status export_trained(const Path& folder, const TrainingTask& task, const InitialModel* initial,
                      const std::function<DeviceWeights(size_t average)>& weights,
                      const ClassNames& classes) {
  Model model;
  if (initial != nullptr) {
    model.extra = initial->model.extra;
    model.index = initial->model.index;
  }
  model.network = task.network;
  model.scheduler = task.objective.scheduler;
  const auto average = [&](size_t i) -> WeightReader {
    return [average = weights(i)](int64_t first, std::span<float> numbers) {
      return average.read_part(first, numbers);
    };
  };
  const Optimizer& optimizer = task.step.optimizer;
  if (optimizer.averages() > 0) model.average = decay_text(optimizer, 0);
  ITO_TRY(save_model(folder, model, average(0)));
  for (size_t i = 1; i < optimizer.averages(); ++i)
    ITO_TRY(save_average(folder, task.network, average(i), decay_text(optimizer, i)));
  return task.classes > 0 ? write_class_names(folder, classes) : Status{};
}

}  // namespace ito
