// Comparison: the tensors of one case against the golden ones, and the case's outcome.
// Limits are those of the golden data's README; each family states which row it uses.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "tests/golden_runner/case.h"

namespace ito::golden {

struct Outcome {
  enum class Verdict { kPass, kFail, kSkip };
  Verdict verdict = Verdict::kFail;
  std::string reason;  // of a failure that is no number, or of a skip
  // The comparison that used most of its limit, or that failed worst.
  std::string tensor;
  double error = 0;
  double limit = 0;
  int comparisons = 0;
};

Outcome skipped(std::string reason);
// A case that could not be run: malformed data, or an error of ours.
Outcome failed(const Error& error);

class Comparison {
 public:
  // max|a-b| / max(|b|max, 1e-30) <= limit.
  void relative(const std::string& tensor, const Array& actual, const Array& expected,
                double limit);
  // max|a-b| <= limit.
  void absolute(const std::string& tensor, const Array& actual, const Array& expected,
                double limit);
  // Every value the same.
  void exact(const std::string& tensor, const Array& actual, const Array& expected);
  // An error measured by the caller. NaN counts as infinite.
  void measured(const std::string& tensor, double error, double limit);

  // Passes if everything compared is within its limit and something was compared at all.
  Outcome outcome() const;

 private:
  bool same_shape(const std::string& tensor, const Array& actual, const Array& expected);

  Outcome worst_;
  double worst_ratio_ = -1;
  std::string mismatch_;  // the first wrong shape
};

// max|a-b|; infinite where a value is NaN or the counts differ; equal infinities are equal.
double largest_difference(const std::vector<double>& a, const std::vector<double>& b);
double largest_magnitude(const std::vector<double>& values);

}  // namespace ito::golden
