// The Fréchet distance between two sets of images: how far apart the Gaussians are that have the
// means and covariances of their features (Dowson and Landau 1982; on a network's features: Heusel
// et al. 2017). On the host, in double precision. Not for making features (api/scoring.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "statistics/feature_set.h"
#include "statistics/mean.h"

namespace ito {

// First and second moments of feature vectors.
class FeatureStatistics {
 public:
  explicit FeatureStatistics(int64_t features);
  // Adds vectors [k, features].
  void add(std::span<const float> vectors);
  // Adds what another added, or takes it away again (CHECK: it is among this one's).
  void add(const FeatureStatistics& other);
  void remove(const FeatureStatistics& other);

  int64_t count() const { return count_; }
  int64_t features() const { return features_; }
  std::vector<double> mean() const;        // [features]; of at least one vector
  std::vector<double> covariance() const;  // [features, features], n-1 below; of at least two

 private:
  void add_about(const FeatureStatistics& other, double sign);

  int64_t features_;
  int64_t count_ = 0;
  // About the first vector, so that nothing large cancels.
  std::vector<double> origin_, sum_, products_;
};

// |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½). Errors: fewer than two vectors in a set, different
// numbers of features, features that are not finite.
Result<double> frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b);

// The distance of samples from a reference, and its standard error over `blocks` blocks of the
// samples; the reference's own scatter is no part of it. Errors: likewise.
Result<MeanAndError> frechet_distance(const FeatureSet& samples, const FeatureStatistics& reference,
                                      int64_t blocks);

// Eigenvalues (ascending) and eigenvectors (row i belongs to value i) of a symmetric matrix [n, n],
// by cyclic Jacobi rotations (Golub and Van Loan, Matrix Computations, section 8.5).
struct SymmetricEigen {
  std::vector<double> values;
  std::vector<double> vectors;
};
SymmetricEigen symmetric_eigen(std::vector<double> matrix, int64_t n);

}  // namespace ito
