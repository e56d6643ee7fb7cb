#include "statistics/mean.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ito {
namespace {

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// About their mean, so that nothing large cancels.
double squares_about(std::span<const double> values, double mean) {
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum;
}

}  // namespace

MeanAndError mean_and_error(std::span<const double> values) {
  if (values.empty()) return {};
  const double n = static_cast<double>(values.size()), mean = mean_of(values);
  if (values.size() < 2) return {.mean = mean};
  return {.mean = mean, .standard_error = std::sqrt(squares_about(values, mean) / (n - 1) / n)};
}

void RunningMean::add(double value) {
  ++count_;
  const double before = value - mean_;
  mean_ += before / static_cast<double>(count_);
  squares_ += before * (value - mean_);
}

MeanAndError RunningMean::result() const {
  if (count_ < 2) return {.mean = mean_};
  const double n = static_cast<double>(count_);
  return {.mean = mean_, .standard_error = std::sqrt(squares_ / (n - 1) / n)};
}

MeanAndError root_of(const MeanAndError& mean) {
  if (!(mean.mean > 0)) return {};
  const double root = std::sqrt(mean.mean);
  return {.mean = root, .standard_error = mean.standard_error / (2 * root)};
}

std::vector<std::pair<int64_t, int64_t>> blocks_of(int64_t count, int64_t blocks) {
  blocks = std::min(blocks, count);
  std::vector<std::pair<int64_t, int64_t>> result;
  for (int64_t i = 0; i < blocks; ++i)
    result.emplace_back(i * count / blocks, (i + 1) * count / blocks);
  return result;
}

MeanAndError jackknife(double whole, std::span<const double> without) {
  if (without.size() < 2) return {.mean = whole};
  const double n = static_cast<double>(without.size());
  const double scatter = squares_about(without, mean_of(without));
  return {.mean = whole, .standard_error = std::sqrt((n - 1) / n * scatter)};
}

}  // namespace ito
