#include "statistics/precision_recall.h"

#include <algorithm>
#include <vector>

namespace ito {
namespace {

// The squared distance of each member to its k-th nearest other one.
std::vector<double> radii(const FeatureSet& set, int64_t k) {
  std::vector<double> result, distances;
  for (int64_t i = 0; i < set.count(); ++i) {
    distances.clear();
    for (int64_t j = 0; j < set.count(); ++j)
      if (j != i) distances.push_back(squared_distance(set.vector(i), set.vector(j)));
    const auto kth = distances.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(distances.begin(), kth, distances.end());
    result.push_back(*kth);
  }
  return result;
}

// The share of `members` inside the balls of `set`.
MeanAndError share_inside(const FeatureSet& members, const FeatureSet& set, int64_t k) {
  const std::vector<double> reach = radii(set, k);
  std::vector<double> inside;
  for (int64_t i = 0; i < members.count(); ++i) {
    bool found = false;
    for (int64_t j = 0; j < set.count() && !found; ++j)
      found = squared_distance(members.vector(i), set.vector(j)) <= reach[static_cast<size_t>(j)];
    inside.push_back(found ? 1 : 0);
  }
  return mean_and_error(inside);
}

}  // namespace

Result<PrecisionRecall> precision_recall(const FeatureSet& real, const FeatureSet& samples,
                                         int64_t k) {
  ITO_TRY(check_comparable(real, samples, k + 1));
  return PrecisionRecall{.precision = share_inside(samples, real, k),
                         .recall = share_inside(real, samples, k)};
}

}  // namespace ito
