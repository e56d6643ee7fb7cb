// Means with their standard errors, and how a number of a whole set scatters: by blocks of its
// members. Not for what the numbers are.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ito {

struct MeanAndError {
  double mean = 0, standard_error = 0;  // 0 for fewer than two values
};

// Of independent values; nothing is 0.
MeanAndError mean_and_error(std::span<const double> values);

// The same of values that are not kept (Welford 1962).
class RunningMean {
 public:
  void add(double value);
  MeanAndError result() const;

 private:
  int64_t count_ = 0;
  double mean_ = 0, squares_ = 0;  // about the mean
};

// The square root of a mean, its error to first order: that of the mean by the root's slope. Of a
// mean of 0: 0.
MeanAndError root_of(const MeanAndError& mean);

// Members [first, second) of `count` in at most `blocks` blocks of nearly equal size, none empty.
std::vector<std::pair<int64_t, int64_t>> blocks_of(int64_t count, int64_t blocks);

// A number of a whole set with its standard error by the jackknife: `without` has the number of the
// set with one of its blocks left out, for each (Efron and Stein 1981). Error 0 for fewer than two.
MeanAndError jackknife(double whole, std::span<const double> without);

}  // namespace ito
