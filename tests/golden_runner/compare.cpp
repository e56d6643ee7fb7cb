#include "tests/golden_runner/compare.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace ito::golden {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTiny = 1e-30;

}  // namespace

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return kInfinity;
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    const double difference = std::fabs(a[i] - b[i]);
    if (std::isnan(difference)) return kInfinity;
    worst = std::max(worst, difference);
  }
  return worst;
}

double largest_magnitude(const std::vector<double>& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

Outcome skipped(std::string reason) {
  Outcome outcome;
  outcome.verdict = Outcome::Verdict::kSkip;
  outcome.reason = std::move(reason);
  return outcome;
}

Outcome failed(const Error& error) {
  Outcome outcome;
  outcome.reason = error.message;
  return outcome;
}

bool Comparison::same_shape(const std::string& tensor, const Array& actual, const Array& expected) {
  if (actual.shape == expected.shape) return true;
  if (mismatch_.empty())
    mismatch_ = fmt::format("{}: expected shape {}, found {}", tensor, expected.shape.to_string(),
                            actual.shape.to_string());
  return false;
}

void Comparison::relative(const std::string& tensor, const Array& actual, const Array& expected,
                          double limit) {
  if (!same_shape(tensor, actual, expected)) return;
  const double scale = std::max(largest_magnitude(expected.data), kTiny);
  measured(tensor, largest_difference(actual.data, expected.data) / scale, limit);
}

void Comparison::absolute(const std::string& tensor, const Array& actual, const Array& expected,
                          double limit) {
  if (!same_shape(tensor, actual, expected)) return;
  measured(tensor, largest_difference(actual.data, expected.data), limit);
}

void Comparison::exact(const std::string& tensor, const Array& actual, const Array& expected) {
  absolute(tensor, actual, expected, 0);
}

void Comparison::measured(const std::string& tensor, double error, double limit) {
  if (std::isnan(error)) error = kInfinity;
  const double ratio = error == 0 ? 0 : error / std::max(limit, kTiny);
  ++worst_.comparisons;
  if (ratio <= worst_ratio_) return;
  worst_ratio_ = ratio;
  worst_.tensor = tensor;
  worst_.error = error;
  worst_.limit = limit;
}

Outcome Comparison::outcome() const {
  Outcome outcome = worst_;
  outcome.verdict = Outcome::Verdict::kFail;
  if (!mismatch_.empty())
    outcome.reason = mismatch_;
  else if (outcome.comparisons == 0)
    outcome.reason = "the case holds nothing to compare";
  else if (worst_ratio_ <= 1)
    outcome.verdict = Outcome::Verdict::kPass;
  return outcome;
}

}  // namespace ito::golden
