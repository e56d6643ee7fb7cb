#include "api/run_pictures.h"

#include <utility>

#include "io/jsonl.h"
#include "io/png.h"
#include "plots/plot.h"

namespace ito {
namespace {

constexpr uint32_t kSeedsPerClass = 2;
constexpr uint32_t kSeedsWithoutClasses = 16;

}  // namespace

Status write_loss_curve(const Path& metrics, const Path& png) {
  ITO_ASSIGN(const std::vector<Json> rows, read_jsonl(metrics));
  Plot plot{.title = "training", .x_label = "step", .y_label = "", .series = {}, .log_y = true};
  for (const char* name : {"loss", "validation", "accuracy"}) {
    Series series{.name = name, .x = {}, .y = {}};
    for (const Json& row : rows) {
      if (!row.contains(name) || !row[name].is_number() || !row.contains("step")) continue;
      series.x.push_back(row["step"].get<double>());
      series.y.push_back(row[name].get<double>());
    }
    if (!series.x.empty()) plot.series.push_back(std::move(series));
  }
  return write_png(png, draw_plot(plot));
}

Result<std::unique_ptr<SampleGrid>> SampleGrid::create(vk::Device& device, const TrainingTask& task,
                                                       const DeviceWeights& weights) {
  std::unique_ptr<SampleGrid> grid(new SampleGrid);
  const uint32_t classes = static_cast<uint32_t>(task.drawn_classes.size());
  grid->columns_ = static_cast<int>(classes);
  if (classes == 0) {
    for (uint32_t seed = 0; seed < kSeedsWithoutClasses; ++seed)
      grid->requests_.push_back({.seed = seed});
  }
  for (uint32_t i = 0; i < classes * kSeedsPerClass; ++i)
    grid->requests_.push_back({.seed = i, .label = task.drawn_classes[i % classes]});
  grid->options_.sampler = task.objective.pictures.sampler;
  grid->options_.steps = task.objective.pictures.steps;
  grid->options_ = resolved(grid->options_, task.network, task.objective.scheduler);
  grid->options_.batch = static_cast<int64_t>(grid->requests_.size());
  ITO_ASSIGN(grid->session_, SamplingSession::create(device, task.network, task.objective.scheduler,
                                                     weights, grid->options_));
  return grid;
}

Status SampleGrid::write(const Path& png, int64_t step) {
  ITO_ASSIGN(const std::vector<float> images, session_->sample(requests_));
  Json settings = sample_settings(options_);
  settings["training_step"] = step;
  return write_png(png, grid_from_floats(images, session_->shape(session_->batch()), columns_),
                   &settings);
}

}  // namespace ito
