// The kernel distance between two sets of images: the squared maximum mean discrepancy of their
// features under the cubic kernel k(x, y) = (x·y/d + 1)³ of d features (Bińkowski et al. 2018,
// section 3.1; "KID" on Inception's features). Unbiased, so that it may be below 0, and so that few
// samples scatter but do not lie further off, as they do by Fréchet's distance.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "statistics/feature_set.h"
#include "statistics/mean.h"

namespace ito {

// What samples are compared with: a set, and what its members have among themselves.
class KernelReference {
 public:
  // Errors: fewer than two vectors, features that are not finite.
  static Result<KernelReference> of(FeatureSet set);

  // The distance of `samples`, and its standard error over `blocks` blocks of them; the
  // reference's own scatter is no part of it. Errors: fewer than two samples, other features.
  Result<MeanAndError> distance(const FeatureSet& samples, int64_t blocks) const;

 private:
  explicit KernelReference(FeatureSet set) : set_(std::move(set)) {}
  FeatureSet set_;
  double among_ = 0;  // mean of k over pairs of different members
};

}  // namespace ito
