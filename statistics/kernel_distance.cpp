#include "statistics/kernel_distance.h"

#include <utility>
#include <vector>

namespace ito {
namespace {

double kernel(std::span<const float> x, std::span<const float> y) {
  const double base = inner_product(x, y) / static_cast<double>(x.size()) + 1;
  return base * base * base;
}

double pairs(int64_t n) { return static_cast<double>(n) * static_cast<double>(n - 1); }

}  // namespace

Result<KernelReference> KernelReference::of(FeatureSet set) {
  ITO_TRY(check_comparable(set, set, 2));
  KernelReference reference(std::move(set));
  const FeatureSet& all = reference.set_;
  double sum = 0;
  for (int64_t i = 0; i < all.count(); ++i)
    for (int64_t j = 0; j < i; ++j) sum += 2 * kernel(all.vector(i), all.vector(j));
  reference.among_ = sum / pairs(all.count());
  return reference;
}

Result<MeanAndError> KernelReference::distance(const FeatureSet& samples, int64_t blocks) const {
  ITO_TRY(check_comparable(samples, set_, 2));
  // Sums of k by the block that a sample lies in, so that a block can be left out of them.
  const auto ranges = blocks_of(samples.count(), blocks);
  const size_t n = ranges.size();
  std::vector<double> among(n * n, 0.0), across(n, 0.0);
  for (size_t a = 0; a < n; ++a)
    for (int64_t i = ranges[a].first; i < ranges[a].second; ++i) {
      for (size_t b = 0; b <= a; ++b)
        for (int64_t j = ranges[b].first; j < std::min(ranges[b].second, i); ++j)
          among[a * n + b] += 2 * kernel(samples.vector(i), samples.vector(j));
      for (int64_t j = 0; j < set_.count(); ++j)
        across[a] += kernel(samples.vector(i), set_.vector(j));
    }
  const auto value = [&](double within, double between, int64_t count) {
    return within / pairs(count) + among_ -
           2 * between / (static_cast<double>(count) * static_cast<double>(set_.count()));
  };
  double within = 0, between = 0;
  for (const double sum : among) within += sum;
  for (const double sum : across) between += sum;
  std::vector<double> without;
  for (size_t left = 0; left < n; ++left) {
    const int64_t count = samples.count() - (ranges[left].second - ranges[left].first);
    if (count < 2) return MeanAndError{.mean = value(within, between, samples.count())};
    double rest = within;
    for (size_t b = 0; b < n; ++b) rest -= among[std::max(left, b) * n + std::min(left, b)];
    without.push_back(value(rest, between - across[left], count));
  }
  return jackknife(value(within, between, samples.count()), without);
}

}  // namespace ito
