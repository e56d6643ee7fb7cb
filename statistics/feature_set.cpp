#include "statistics/feature_set.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace ito {
namespace {

// Σ term(a_i, b_i), in lanes that a compiler may put side by side.
template <typename Term>
double sum_over(std::span<const float> a, std::span<const float> b, Term term) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lanes = {};
  size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(a[i + lane], b[i + lane]);
  double sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < a.size(); ++i) sum += term(a[i], b[i]);
  return sum;
}

}  // namespace

Status check_comparable(const FeatureSet& a, const FeatureSet& b, int64_t least) {
  if (a.features() != b.features())
    return invalid_argument("sets of {} and of {} features have no distance", a.features(),
                            b.features());
  if (a.count() < least || b.count() < least)
    return invalid_argument(
        "sets of {} and of {} images are compared, expected at least {} in each", a.count(),
        b.count(), least);
  for (const FeatureSet* set : {&a, &b}) {
    const std::span<const float> all = set->vectors(0, set->count());
    if (!std::all_of(all.begin(), all.end(), [](float value) { return std::isfinite(value); }))
      return diverged("the features of an image are not finite");
  }
  return {};
}

double inner_product(std::span<const float> a, std::span<const float> b) {
  return sum_over(a, b, [](float x, float y) { return x * y; });
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  return sum_over(a, b, [](float x, float y) { return (x - y) * (x - y); });
}

}  // namespace ito
