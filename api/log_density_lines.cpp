#include "api/log_density_lines.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "diffusion/likelihood.h"

namespace ito {
namespace {

// The integral is kept in f32: it is not known better than to this share of itself, even where the
// way back gives the same.
constexpr double kRounding = std::numeric_limits<float>::epsilon();

// The class that the densities of pair i are conditional on.
Result<uint32_t> label_of_pair(const ImageDataset& a, const ImageDataset& b, int64_t i) {
  const size_t at = static_cast<size_t>(i);
  if (!a.labels || !b.labels || (*a.labels)[at] != (*b.labels)[at])
    return invalid_argument(
        "the model has classes and the ends of line {} have not one label in common; say which "
        "class with --class",
        i);
  return static_cast<uint32_t>((*a.labels)[at]);
}

Result<std::vector<float>> numbers_of_images(const ImageDataset& data, int64_t first,
                                             int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), first);
  std::vector<float> numbers(indices.size() * data.image_size());
  ITO_TRY(normalised_images(data, indices, data.h, data.w, numbers.data()));
  return numbers;
}

}  // namespace

Result<ImagePairs> pairs_of(const LineEnd& from, const LineEnd& to, const ModelFlow& model,
                            std::optional<uint32_t> label, int64_t first, int64_t num) {
  const ImageDataset &a = from.data, &b = to.data;
  ImagePairs pairs{.from = {}, .to = {}, .labels = {}, .count = std::min(num, a.count - first)};
  if (pairs.count < 1 || b.count < first + pairs.count)
    return invalid_argument("{} has {} images and {} has {}, expected {} more than --first in both",
                            from.name, a.count, to.name, b.count,
                            std::max<int64_t>(pairs.count, 1));
  ITO_ASSIGN(pairs.from, numbers_of_images(a, first, pairs.count));
  ITO_ASSIGN(pairs.to, numbers_of_images(b, first, pairs.count));
  for (int64_t i = 0; i < pairs.count && model.classes > 0; ++i) {
    if (label) {
      pairs.labels.push_back(*label);
      continue;
    }
    ITO_ASSIGN(const uint32_t own, label_of_pair(a, b, first + i));
    pairs.labels.push_back(own);
  }
  return pairs;
}

Result<std::vector<LogDensityDifference>> log_density_differences(
    vk::Device& device, const ModelFlow& given, const ImagePairs& pairs, double time,
    const OdeOptions& options, int64_t max_evaluations) {
  using namespace likelihood_ports;
  ITO_ASSIGN(const ModelFlow model, flow_on_device(given, device.caps()));
  const size_t count = static_cast<size_t>(pairs.count);
  const size_t numbers = count * static_cast<size_t>(model.image.numel());
  if (count == 0 || pairs.from.size() != numbers || pairs.to.size() != numbers)
    return invalid_argument("{} and {} numbers were given, expected {} pairs of images of {}",
                            pairs.from.size(), pairs.to.size(), pairs.count, model.image.numel());
  if (!(time >= model.flow.start && time <= model.flow.end))
    return invalid_argument("the time is {}, expected one of the flow, {} to {}", time,
                            model.flow.start, model.flow.end);
  ITO_ASSIGN(const std::vector<uint32_t> classes,
             padded_labels(pairs.labels, pairs.count, pairs.count, model.classes));
  std::vector<uint32_t> points(count, 0);
  const Shape shape{pairs.count, model.image[0], model.image[1], model.image[2]};
  ITO_ASSIGN(auto solver, OdeSolver::create(device, line_system(model.flow.score, shape), options));
  ITO_TRY(bind_weights(device, model, *solver));
  ITO_TRY(solver->write(kLineFrom, pairs.from));
  ITO_TRY(solver->write(kLineTo, pairs.to));
  ITO_TRY(solver->write(kLineTime, std::vector<float>(count, static_cast<float>(time))));
  if (model.classes > 0) ITO_TRY(solver->write(batch_ports::kLabels, classes));
  const auto integral = [&](double start, double end) -> Result<std::vector<double>> {
    ITO_TRY(solver->write(kDifference, std::vector<float>(count, 0.0f)));
    ITO_ASSIGN(const OdeReport report, solver->solve(start, end, max_evaluations));
    for (size_t i = 0; i < count; ++i) points[i] += report.evaluations[i];
    return solver->value(kDifferenceComponent);
  };
  ITO_ASSIGN(const std::vector<double> there, integral(0, 1));
  ITO_ASSIGN(const std::vector<double> back, integral(1, 0));
  std::vector<LogDensityDifference> differences;
  for (size_t i = 0; i < count; ++i)
    differences.push_back({there[i],
                           std::max(std::fabs(there[i] + back[i]), std::fabs(there[i]) * kRounding),
                           points[i]});
  return differences;
}

LineSummary summarise(std::span<const LogDensityDifference> lines) {
  LineSummary summary;
  RunningMean difference, integration;
  for (const LogDensityDifference& line : lines) {
    difference.add(line.value);
    integration.add(line.integration_error);
    summary.points = std::max(summary.points, line.points);
  }
  summary.difference = difference.result();
  summary.integration_error = integration.result().mean;
  return summary;
}

}  // namespace ito
