// Precision and recall of a set of samples (Kynkäänniemi et al. 2019): the share of samples that
// lie where real images do, and of real images that lie where samples do. Where a set lies is the
// union of balls about its members, each reaching to its k-th nearest neighbour. The two sets
// should be of one size: a larger one covers more.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "statistics/feature_set.h"
#include "statistics/mean.h"

namespace ito {

struct PrecisionRecall {
  // Standard errors over the members that are looked up, where the other set lies held fixed.
  MeanAndError precision, recall;
};

// Errors: k or fewer members in a set, other features, features that are not finite.
Result<PrecisionRecall> precision_recall(const FeatureSet& real, const FeatureSet& samples,
                                         int64_t k = 3);

}  // namespace ito
