// A two-mode Gaussian mixture in two dimensions with its exact moments, exact samples of its noised
// versions, and the comparison of 100,000 chains with it.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "base/philox.h"
#include "diffusion/gaussian_mixture.h"
#include "tests/diffusion/method_device.h"

namespace ito::test {

inline constexpr int64_t kChains = 100'000;

inline double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

inline GaussianMixture two_modes() {
  return {{0.3, 0.7}, {{-0.9, -0.4}, {0.9, 0.6}}, {{0.36, 0.3}, {0.3, 0.4}}};
}

// The mixture noised to a x_0 + s ε.
inline GaussianMixture noised(GaussianMixture mixture, double a, double s) {
  for (size_t k = 0; k < mixture.means.size(); ++k) {
    for (size_t i = 0; i < mixture.means[k].size(); ++i) {
      mixture.means[k][i] *= a;
      mixture.variances[k][i] = a * a * mixture.variances[k][i] + s * s;
    }
  }
  return mixture;
}

// Independent samples [chains, 2], drawn on the host.
inline std::vector<float> exact_samples(const GaussianMixture& mixture) {
  std::vector<float> x;
  for (uint32_t i = 0; i < kChains; ++i) {
    const std::array<uint32_t, 4> words = philox4x32_10({i, 1, 0, 0}, {3, 5});
    const std::array<double, 4> normals = philox_normal({i, 2, 0, 0}, {3, 5});
    const size_t k = philox_uniform(words[0]) < mixture.weights[0] ? 0 : 1;
    for (size_t d = 0; d < 2; ++d)
      x.push_back(static_cast<float>(mixture.means[k][d] +
                                     std::sqrt(mixture.variances[k][d]) * normals[d]));
  }
  return x;
}

// Mean, covariance and the mass right of 0 on the first axis, which tells the weights, each within
// 4 standard errors of the mixture's.
inline void expect_mixture(const std::vector<float>& x, const GaussianMixture& truth) {
  std::vector<double> mean = {0, 0};
  double right = 0;
  for (size_t k = 0; k < truth.weights.size(); ++k) {
    for (size_t d = 0; d < 2; ++d) mean[d] += truth.weights[k] * truth.means[k][d];
    right += truth.weights[k] * normal_cdf(truth.means[k][0] / std::sqrt(truth.variances[k][0]));
  }
  for (size_t i = 0; i < 2; ++i) {
    SCOPED_TRACE("axis " + std::to_string(i));
    EXPECT_WITHIN_4_SE(estimate(x, 2, [&](const float* p) { return p[i]; }), mean[i]);
    for (size_t j = 0; j <= i; ++j) {
      double covariance = 0;
      for (size_t k = 0; k < truth.weights.size(); ++k)
        covariance +=
            truth.weights[k] * ((i == j ? truth.variances[k][i] : 0) +
                                (truth.means[k][i] - mean[i]) * (truth.means[k][j] - mean[j]));
      EXPECT_WITHIN_4_SE(
          estimate(x, 2, [&](const float* p) { return (p[i] - mean[i]) * (p[j] - mean[j]); }),
          covariance);
    }
  }
  EXPECT_WITHIN_4_SE(estimate(x, 2, [](const float* p) { return p[0] > 0 ? 1.0 : 0.0; }), right);
}

}  // namespace ito::test
