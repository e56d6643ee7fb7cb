// FeatureSet: the feature vectors of a set of images, in the images' order. Not for making features
// (api/scoring.h) and not for what is said of two sets (frechet.h, kernel_distance.h,
// precision_recall.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace ito {

class FeatureSet {
 public:
  explicit FeatureSet(int64_t features) : features_(features) {
    CHECK(features > 0, "vectors of no features");
  }
  // Adds vectors [k, features].
  void add(std::span<const float> vectors) {
    CHECK(vectors.size() % static_cast<size_t>(features_) == 0, "no whole number of vectors");
    values_.insert(values_.end(), vectors.begin(), vectors.end());
  }

  int64_t features() const { return features_; }
  int64_t count() const { return static_cast<int64_t>(values_.size()) / features_; }
  std::span<const float> vector(int64_t i) const { return vectors(i, i + 1); }
  // Vectors [first, last), one after the other.
  std::span<const float> vectors(int64_t first, int64_t last) const {
    return std::span(values_).subspan(static_cast<size_t>(first * features_),
                                      static_cast<size_t>((last - first) * features_));
  }
  // The first `count` of them, or all.
  FeatureSet first(int64_t count) const {
    FeatureSet part(features_);
    part.add(vectors(0, count < this->count() ? count : this->count()));
    return part;
  }

 private:
  int64_t features_;
  std::vector<float> values_;
};

// Errors: other numbers of features, fewer than `least` vectors in a set, vectors that are not
// finite.
Status check_comparable(const FeatureSet& a, const FeatureSet& b, int64_t least);

// a·b, and |a - b|². Summed in single precision by lanes: relative error about 1e-6.
double inner_product(std::span<const float> a, std::span<const float> b);
double squared_distance(std::span<const float> a, std::span<const float> b);

}  // namespace ito
